"""The seal: each image of a dataset under AES-256-GCM, with a data key of that dataset alone.

This is the real cryptography around the learnable layer. A sealed image is nonce (12 bytes), ciphertext, tag (16
bytes), with `lpe/v2/sealed|SALT|LABEL|ID` as associated data: it opens only in its own dataset, under its own id and
label, which themselves are not hidden. Nonces are random, so that two sealings of one image differ; what they open to
does not. The data key opens the seal, gives the learnable ciphertext, and is of no use against that.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tink
from tink import aead, proto_keyset_format, secret_key_access
from tink.proto import aes_gcm_pb2, tink_pb2

from lpe.pipeline import storage
from lpe.pipeline.dataset.manifest import is_salt
from lpe.pipeline.keystore.reading import parse_fields, read_file
from lpe.transforms import labels
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, KeyStoreError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.not_picklable import NotPicklable

KEY_BYTES = 32
"""The size of a data key."""
OVERHEAD = 28
"""The bytes that a seal adds to an image: nonce and tag."""
_CHECK_BYTES = 16
_TYPE = "type.googleapis.com/google.crypto.tink.AesGcmKey"


@dataclasses.dataclass(frozen=True)
class SealSpec:
    """The description of a dataset's seal, kept beside the dataset; no secret.

    Attributes:
      image_shape: (H, W, C) of the images inside.
      check_value: tells its data key from others (hex).
    """

    image_shape: ImageShape
    check_value: str

    def to_json(self) -> dict[str, Any]:
        """The field `seal` of encryption.json."""
        return {"image_shape": list(self.image_shape), "check_value": self.check_value}


def sealed_shape(image_shape: ImageShape) -> ImageShape:
    """The shape (1, 1, bytes) in which sealed images of this shape travel and are stored."""
    height, width, channels = image_shape
    return (1, 1, height * width * channels + OVERHEAD)


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
        for i, (image_id, label, image) in enumerate(_examples(batch)):
            context = self._context(image_id, label)
            sealed[i, 0, 0] = np.frombuffer(self._aead.encrypt(image.tobytes(), context), np.uint8)
        return batch.replace_images(sealed)

    def unseal(self, batch: ImageBatch, image_shape: ImageShape) -> ImageBatch:
        """The inverse of `seal`: uint8 [N,1,1,H·W·C + 28] -> uint8 [N,H,W,C].

        Raises:
          DataError: an image was changed, or is not in its place.
        """
        images = np.empty((len(batch), *image_shape), np.uint8)
        for i, (image_id, label, sealed) in enumerate(_examples(batch)):
            try:
                data = self._aead.decrypt(sealed.tobytes(), self._context(image_id, label))
                images[i] = np.frombuffer(data, np.uint8).reshape(image_shape)
            except (tink.TinkError, ValueError) as error:
                raise DataError(
                    f"sealed image {image_id} does not open: it was changed, moved, or is of another dataset; restore "
                    "the dataset from a copy"
                ) from error
        return batch.replace_images(images)

    def _context(self, image_id: str, label: int) -> bytes:
        """The associated data of a sealed image."""
        if is_salt(self.salt, 1):
            return labels.sealed_image_of_format_1(self.salt, image_id)
        return labels.sealed_image(self.salt, image_id, label)

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
        content = read_file(path)
    except FileNotFoundError:
        raise KeyStoreError(f"{path}: no such file; ask the dataset's owner for its data key") from None
    try:
        fields = parse_fields(content, path)
        fields.integer("format_version", least=1, most=1)
        text = json.dumps(dict(fields.object("keyset").raw()))
        handle = tink.json_proto_keyset_format.parse(text, secret_key_access.TOKEN)
        keyset = tink_pb2.Keyset.FromString(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
        (key,) = keyset.key
        secret = aes_gcm_pb2.AesGcmKey.FromString(key.key_data.value).key_value
        if key.key_data.type_url != _TYPE or len(secret) != KEY_BYTES:
            raise ValueError("another type of key")
        return DataKey(secret, fields.text("salt"))
    except Exception:  # ours, Tink's, protobuf's and ValueError
        # Their words may quote the file, which is a secret: they are not repeated.
        raise KeyStoreError(f"{path}: not a data key of lpe's; ask the dataset's owner for it") from None


def _examples(batch: ImageBatch) -> Iterator[tuple[str, int, np.ndarray]]:
    """The id, label and image of each example."""
    return zip(batch.ids, batch.labels.tolist(), batch.images, strict=True)


def _handle(secret: bytes) -> tink.KeysetHandle:
    data = tink_pb2.KeyData(
        type_url=_TYPE,
        value=aes_gcm_pb2.AesGcmKey(version=0, key_value=secret).SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    key = tink_pb2.Keyset.Key(
        key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW
    )
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[key])
    return proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
