"""At-rest protection: each image of a dataset under AES-256-GCM, with a key of that dataset alone.

This is the real cryptography under the learnable layer. A sealed image is nonce (12 bytes), ciphertext, tag (16
bytes), with `lpe/v1/sealed|SALT|ID` as associated data: it opens only in its own dataset and under its own id.
Labels and ids are not sealed. Nonces are random, so that two sealings of one image differ; what they open to
does not. The data key opens the seal, gives the learnable ciphertext, and is of no use against that.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tink
from tink import aead, proto_keyset_format, secret_key_access
from tink.proto import aes_gcm_pb2, tink_pb2

from lpe.pipeline import storage
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, KeyStoreError

KEY_BYTES = 32
OVERHEAD = 28  # nonce and tag
_CHECK_BYTES = 16
_TYPE = "type.googleapis.com/google.crypto.tink.AesGcmKey"

Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class SealSpec:
    """What a sealed dataset says of its seal.

    Attributes:
      image_shape: (H, W, C) of the images inside.
      check_value: tells its data key from others (hex).
    """

    image_shape: Shape
    check_value: str

    def to_json(self) -> dict[str, Any]:
        """The field `seal` of encryption.json."""
        return {"image_shape": list(self.image_shape), "check_value": self.check_value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SealSpec:
        """Raises KeyError, TypeError or ValueError if something is missing."""
        height, width, channels = value["image_shape"]
        return cls((int(height), int(width), int(channels)), str(value["check_value"]))


def sealed_shape(image_shape: Shape) -> Shape:
    """How sealed images of this shape travel and are stored: (1, 1, bytes)."""
    height, width, channels = image_shape
    return (1, 1, height * width * channels + OVERHEAD)


class DataKey:
    """The key that seals one dataset. It cannot be pickled or printed.

    Args:
      secret: 32 bytes.
      salt: the dataset's.
    """

    def __init__(self, secret: bytes, salt: str) -> None:
        aead.register()
        self.salt = salt
        self._secret = secret
        self._aead = _handle(secret).primitive(aead.Aead)

    def check_value(self) -> str:
        """16 bytes (hex) that tell this key from others and nothing about it."""
        message = f"lpe/v1|data-key-check|{self.salt}".encode()
        return hmac.digest(self._secret, message, "sha256")[:_CHECK_BYTES].hex()

    def verify(self, seal: SealSpec, where: str) -> None:
        """Raises KeyStoreError unless the dataset at `where` was sealed with this key."""
        if not hmac.compare_digest(self.check_value(), seal.check_value):
            raise KeyStoreError(
                f"{where}: this data key is of another dataset; ask its owner for the right one"
            )

    def seal(self, batch: ImageBatch) -> ImageBatch:
        """The batch with its images sealed: uint8 [N,H,W,C] -> uint8 [N,1,1,H·W·C + 28]."""
        shape = sealed_shape(batch.images.shape[1:])
        out = np.empty((len(batch), *shape), np.uint8)
        for i, (name, image) in enumerate(zip(batch.ids, batch.images, strict=True)):
            out[i, 0, 0] = np.frombuffer(self._aead.encrypt(image.tobytes(), self._context(name)), np.uint8)
        return batch.replace_images(out)

    def unseal(self, batch: ImageBatch, image_shape: Shape) -> ImageBatch:
        """The inverse of `seal`. Raises DataError for an image that was changed or is not in its place."""
        out = np.empty((len(batch), *image_shape), np.uint8)
        for i, (name, image) in enumerate(zip(batch.ids, batch.images, strict=True)):
            try:
                data = self._aead.decrypt(image.tobytes(), self._context(name))
                out[i] = np.frombuffer(data, np.uint8).reshape(image_shape)
            except (tink.TinkError, ValueError) as error:
                raise DataError(
                    f"sealed image {name} does not open: it was changed, moved, or is of another dataset; restore the "
                    "dataset from a copy"
                ) from error
        return batch.replace_images(out)

    def export(self, path: str, dataset: str) -> None:
        """Writes the key to a file of mode 0600, for whoever trains on the dataset.

        Raises:
          KeyStoreError: the file exists, or would lie in an object store.
        """
        if storage.is_remote(path):
            raise KeyStoreError(
                f"{path}: a data key in clear belongs in a file of yours alone; name a local --output"
            )
        if storage.exists(path):
            raise KeyStoreError(f"{path}: exists; choose another --output or delete it first")
        keyset = tink.json_proto_keyset_format.serialize(_handle(self._secret), secret_key_access.TOKEN)
        value = {"format_version": 1, "dataset": dataset, "salt": self.salt, "keyset": json.loads(keyset)}
        storage.write_atomic(path, (json.dumps(value, indent=2) + "\n").encode(), private=True)

    def _context(self, image_id: str) -> bytes:
        return f"lpe/v1/sealed|{self.salt}|{image_id}".encode()

    def __repr__(self) -> str:
        return "<data key, not shown>"

    def __reduce__(self) -> str:
        raise TypeError("a data key must not be pickled; open it where the work is done")


def load_data_key(path: str) -> DataKey:
    """Reads an exported data key.

    Raises:
      KeyStoreError: the file is missing, damaged, no data key, or can be read by others than its owner.
      DataError: it cannot be read.
    """
    storage.check_private(path)
    try:
        content = storage.read_bytes(path)
    except FileNotFoundError:
        raise KeyStoreError(f"{path}: no such file; ask the dataset's owner for its data key") from None
    except OSError as error:
        raise storage.explain(error) from error
    try:
        value = json.loads(content)
        if value["format_version"] != 1:
            raise ValueError("format version")
        handle = tink.json_proto_keyset_format.parse(json.dumps(value["keyset"]), secret_key_access.TOKEN)
        keyset = tink_pb2.Keyset.FromString(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
        (key,) = keyset.key
        if key.key_data.type_url != _TYPE:
            raise ValueError("another type of key")
        secret = aes_gcm_pb2.AesGcmKey.FromString(key.key_data.value).key_value
        return DataKey(secret, str(value["salt"]))
    except Exception:  # Tink raises its own error, protobuf's and ValueError
        # The parser's own words may quote the file, which is a secret: they are not repeated.
        raise KeyStoreError(f"{path}: not a data key of lpe's; ask the dataset's owner for it") from None


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
