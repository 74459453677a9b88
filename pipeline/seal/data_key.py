"""The seal: each image of a dataset under AES-256-GCM, with a data key of that dataset alone.

This is the real cryptography around the learnable layer. A sealed image is nonce (12 bytes), ciphertext, tag (16
bytes), with `lpe/v2/sealed|SALT|LABEL|ID` as associated data: it opens only in its own dataset, under its own id and
label, which themselves are not hidden. Nonces are random, so that two sealings of one image differ; what they open to
does not. The data key opens the seal, gives the learnable ciphertext, and is of no use against that.
"""

from __future__ import annotations

import hmac
import json
from pathlib import Path

import numpy as np
import tink
from tink import aead, proto_keyset_format, secret_key_access
from tink.proto import aes_gcm_pb2, tink_pb2

from lpe.pipeline import storage
from lpe.pipeline.dataset.manifest import is_salt
from lpe.pipeline.seal.single_key import single_key, type_url
from lpe.pipeline.seal.spec import SealSpec, sealed_shape
from lpe.pipeline.storage.documents import parse_document, read_bounded
from lpe.transforms import labels
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, KeyStoreError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.not_picklable import NotPicklable

KEY_BYTES = 32
"""The size of a data key."""
_CHECK_BYTES = 16
_MOST_BYTES = 1 << 20
_REMEDY = "ask the dataset's owner for its data key"
_TYPE = "AesGcmKey"


class DataKey(NotPicklable):
    """The key that seals one dataset. It cannot be pickled or printed.

    Args:
      secret: KEY_BYTES bytes.
      salt: the dataset's.

    Attributes:
      salt: the dataset's.
    """

    def __init__(self, secret: bytes, salt: str) -> None:
        aead.register()
        self.salt = salt
        self._secret = secret
        self._aead = _handle(secret).primitive(aead.Aead)

    def check_value(self) -> str:
        """16 bytes (hex) that tell this key from others and nothing about it."""
        digest = hmac.digest(self._secret, labels.data_key_check(self.salt), "sha256")
        return digest[:_CHECK_BYTES].hex()

    def mac(self, message: bytes) -> str:
        """HMAC-SHA256 (hex) of a dataset's manifest, under a key made from this one for that alone."""
        key = hmac.digest(self._secret, labels.data_key_mac(self.salt), "sha256")
        return hmac.digest(key, message, "sha256").hex()

    def verify(self, seal: SealSpec, directory: str) -> None:
        """Checks that a dataset was sealed with this key.

        Args:
          seal: the dataset's.
          directory: the dataset, for the message.

        Raises:
          KeyStoreError: it was sealed with another key.
        """
        if not hmac.compare_digest(self.check_value(), seal.check_value):
            raise KeyStoreError(
                f"{directory}: this data key is of another dataset; ask its owner for the right one"
            )

    def seal(self, batch: ImageBatch) -> ImageBatch:
        """The batch with its images sealed, under fresh nonces: uint8 [N,H,W,C] -> uint8 [N,1,1,H·W·C + 28]."""
        sealed = np.empty((len(batch), *sealed_shape(image_shape_of(batch.images))), np.uint8)
        for i, (image, context) in enumerate(zip(batch.images, self._contexts(batch), strict=True)):
            sealed[i, 0, 0] = np.frombuffer(self._aead.encrypt(image.tobytes(), context), np.uint8)
        return batch.replace_images(sealed)

    def unseal(self, batch: ImageBatch, image_shape: ImageShape) -> ImageBatch:
        """The inverse of `seal`: uint8 [N,1,1,H·W·C + 28] -> uint8 [N,H,W,C].

        Raises:
          DataError: an image was changed, or is not in its place.
        """
        stored, size, opened = batch.images.tobytes(), sealed_shape(image_shape)[2], []
        starts = range(0, size * len(batch), size)
        # Training reads through this loop, in which Tink's call has four fifths of the time.
        for image_id, start, context in zip(batch.ids, starts, self._contexts(batch), strict=True):
            try:
                opened.append(self._aead.decrypt(stored[start : start + size], context))
            except tink.TinkError as error:
                raise DataError(
                    f"sealed image {image_id} does not open: it was changed, moved, or is of another dataset; restore "
                    "the dataset from a copy"
                ) from error
        # A join of a bytearray's can be written to, as other batches can.
        images = np.frombuffer(bytearray().join(opened), np.uint8)
        return batch.replace_images(images.reshape(len(batch), *image_shape))

    def _contexts(self, batch: ImageBatch) -> list[bytes]:
        """The associated data of each sealed image."""
        if is_salt(self.salt, 1):
            return [labels.sealed_image_of_format_1(self.salt, image_id) for image_id in batch.ids]
        examples = zip(batch.ids, batch.labels.tolist(), strict=True)
        return [labels.sealed_image(self.salt, image_id, label) for image_id, label in examples]

    def export(self, path: str, dataset: str) -> None:
        """Writes the key to a file of mode 0600, for whoever trains on the dataset.

        Args:
          path: the file; local.
          dataset: the dataset's directory, for the reader of the file.

        Raises:
          KeyStoreError: the file exists, or would lie in an object store.
        """
        check_output(path)
        storage.delete_temporary_files(str(Path(path).parent), Path(path).name)
        keyset = tink.json_proto_keyset_format.serialize(_handle(self._secret), secret_key_access.TOKEN)
        value = {"format_version": 1, "dataset": dataset, "salt": self.salt, "keyset": json.loads(keyset)}
        storage.write_atomic(path, (json.dumps(value, indent=2) + "\n").encode(), private=True)


def check_output(path: str) -> None:
    """Raises KeyStoreError if a data key cannot be written to a file of this name."""
    if storage.is_remote(path):
        raise KeyStoreError(
            f"{path}: a data key in clear belongs in a file of yours alone; name a local --output"
        )
    if storage.exists(path):
        raise KeyStoreError(f"{path}: exists; choose another --output or delete it first")


def load_data_key(path: str) -> DataKey:
    """Reads an exported data key.

    Raises:
      KeyStoreError: the file is missing, damaged, no data key, cannot be read, or can be by others than its owner.
    """
    storage.check_private(path)
    try:
        content = read_bounded(path, _REMEDY, KeyStoreError, _MOST_BYTES)
    except FileNotFoundError:
        raise KeyStoreError(f"{path}: no such file; {_REMEDY}") from None
    except OSError as error:
        raise KeyStoreError(str(storage.explain(error))) from error
    try:
        fields = parse_document(content, path, _REMEDY, KeyStoreError)
        fields.integer("format_version", least=1, most=1)
        text = json.dumps(dict(fields.object("keyset").raw()))
        handle = tink.json_proto_keyset_format.parse(text, secret_key_access.TOKEN)
        keyset = tink_pb2.Keyset.FromString(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
        (key,) = keyset.key
        secret = aes_gcm_pb2.AesGcmKey.FromString(key.key_data.value).key_value
        if key.key_data.type_url != type_url(_TYPE) or len(secret) != KEY_BYTES:
            raise ValueError("another type of key")
        return DataKey(secret, fields.text("salt"))
    except Exception:  # ours, Tink's, protobuf's and ValueError
        # Their words may quote the file, which is a secret: they are not repeated.
        raise KeyStoreError(f"{path}: not a data key of lpe's; {_REMEDY}") from None


def _handle(secret: bytes) -> tink.KeysetHandle:
    return single_key(_TYPE, aes_gcm_pb2.AesGcmKey(version=0, key_value=secret).SerializeToString())
