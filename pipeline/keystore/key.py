"""One key of a keyset, opened."""

from __future__ import annotations

import hmac

import tink
from tink import daead, prf, proto_keyset_format, secret_key_access
from tink.proto import aes_siv_pb2, tink_pb2

from lpe.pipeline.keystore.data_key import KEY_BYTES, DataKey
from lpe.transforms.ciphers.derive import SECRET_BYTES, FieldStream
from lpe.transforms.errors import KeyStoreError

_CHECK_BYTES = 16
_AES_SIV_BYTES = 64


class DatasetKey:
    """A PRF key: everything about a dataset's encryption is computed from it.

    It cannot be pickled or printed; pipelines carry a `KeyRef` and open it in `setup()`.
    """

    def __init__(self, name: str, key_id: int, function: prf.Prf) -> None:
        self.name = name
        self.id = key_id
        self._prf = function

    def compute(self, context: bytes, length: int) -> bytes:
        """`length` ≤ 8,160 bytes of HKDF-SHA256 over `context`; see `lpe.transforms.keyed` for contexts."""
        return self._prf.compute(context, length)

    def check_value(self, salt: str) -> str:
        """16 bytes (hex) that tell this key from others and nothing about it."""
        return self.compute(f"lpe/v1|check|{salt}".encode(), _CHECK_BYTES).hex()

    def verify(self, salt: str, check_value: str) -> None:
        """Raises KeyStoreError unless data with this salt and check value was encrypted under this key."""
        if not hmac.compare_digest(self.check_value(salt), check_value):
            raise KeyStoreError(
                f"key {self.id} of keyset {self.name!r} is not the key of this dataset: another keyset of the same "
                "name; use the key store that the data was encrypted with"
            )

    def label_order(self, salt: str, classes: int) -> list[int]:
        """A permutation of the classes: class i becomes label_order[i]."""
        secret = self.compute(f"lpe/v1|labels|{salt}".encode(), SECRET_BYTES)
        return FieldStream(secret, "labels").permutation(classes).tolist()

    def data_key(self, salt: str) -> DataKey:
        """The key that seals the images of the dataset with this salt, and no other."""
        return DataKey(self.compute(f"lpe/v1|data-key|{salt}".encode(), KEY_BYTES), salt)

    def seal(self, salt: str, text: bytes) -> bytes:
        """Deterministic authenticated encryption (AES-SIV) of a small text under this key."""
        return self._siv(salt).encrypt_deterministically(text, b"lpe/v1/seal")

    def unseal(self, salt: str, sealed: bytes) -> bytes:
        """The inverse of `seal`. Raises KeyStoreError if it was changed."""
        try:
            return self._siv(salt).decrypt_deterministically(sealed, b"lpe/v1/seal")
        except tink.TinkError as error:
            raise KeyStoreError(
                "the sealed class names were damaged or changed; restore encryption.json from a copy"
            ) from error

    def _siv(self, salt: str) -> daead.DeterministicAead:
        daead.register()
        value = aes_siv_pb2.AesSivKey(
            version=0, key_value=self.compute(f"lpe/v1|seal|{salt}".encode(), _AES_SIV_BYTES)
        )
        data = tink_pb2.KeyData(
            type_url="type.googleapis.com/google.crypto.tink.AesSivKey",
            value=value.SerializeToString(),
            key_material_type=tink_pb2.KeyData.SYMMETRIC,
        )
        key = tink_pb2.Keyset.Key(
            key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW
        )
        keyset = tink_pb2.Keyset(primary_key_id=1, key=[key])
        handle = proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
        return handle.primitive(daead.DeterministicAead)

    def __repr__(self) -> str:
        return f"<key {self.id} of {self.name!r}, not shown>"

    def __reduce__(self) -> str:
        raise TypeError("a key must not be pickled; carry a KeyRef and open it in setup()")
