"""A key of a keyset, opened: what a dataset's encryption is computed from."""

from __future__ import annotations

import hmac

import tink
from tink import daead, prf
from tink.proto import aes_siv_pb2

from lpe.pipeline.seal.data_key import KEY_BYTES, DataKey
from lpe.pipeline.seal.single_key import single_key
from lpe.transforms import labels
from lpe.transforms.ciphers.derive import SECRET_BYTES, FieldStream
from lpe.transforms.errors import KeyStoreError
from lpe.transforms.not_picklable import NotPicklable

_CHECK_BYTES = 16
_AES_SIV_BYTES = 64
_DIGEST_BYTES = 32


class DatasetKey(NotPicklable):
    """A PRF key: everything about a dataset's encryption is computed from it.

    Deterministic: the same key and context give the same bytes anywhere. It cannot be pickled or printed;
    pipelines carry a `KeyRef` and open it in `setup()`.

    Args:
      name: the keyset.
      key_id: the key's id in the keyset.
      function: Tink's HKDF-SHA256 PRF of the key.

    Attributes:
      name: the keyset.
      id: the key's id in the keyset.
    """

    def __init__(self, name: str, key_id: int, function: prf.Prf) -> None:
        self.name = name
        self.id = key_id
        self._prf = function

    def compute(self, context: bytes, length: int) -> bytes:
        """Computes HKDF-SHA256 (RFC 5869) over a context.

        Args:
          context: a label of `lpe.transforms.labels`; distinct contexts give independent bytes.
          length: the number of bytes, ≤ 8,160; a shorter value is a prefix of a longer one.
        """
        value: bytes = self._prf.compute(context, length)
        return value

    def check_value(self, salt: str) -> str:
        """16 bytes (hex) that tell this key from others and nothing about it, for the dataset with this salt."""
        return self.compute(labels.key_check(salt), _CHECK_BYTES).hex()

    def verify(self, salt: str, check_value: str) -> None:
        """Checks that a dataset is encrypted under this key.

        Args:
          salt: the dataset's.
          check_value: the one that the dataset records.

        Raises:
          KeyStoreError: it is encrypted under another key.
        """
        if not hmac.compare_digest(self.check_value(salt), check_value):
            raise KeyStoreError(
                f"key {self.id} of keyset {self.name!r} is not the key of this dataset: another keyset of the same "
                "name; use the key store that the data was encrypted with"
            )

    def label_order(self, salt: str, classes: int) -> list[int]:
        """The permutation of a dataset's hidden classes: class i becomes label_order[i]."""
        secret = self.compute(labels.label_order(salt), SECRET_BYTES)
        order: list[int] = FieldStream(secret, "labels").permutation(classes).tolist()
        return order

    def data_key(self, salt: str) -> DataKey:
        """The key that seals the images of the dataset with this salt, and no other."""
        return DataKey(self.compute(labels.data_key(salt), KEY_BYTES), salt)

    def public_fingerprint(self, fingerprint: str) -> str:
        """What is published in place of a job's fingerprint (hex), so that nobody can confirm a guess at its input."""
        return self.compute(labels.job(fingerprint), _DIGEST_BYTES).hex()

    def dataset_salt(self, version: str, job: str) -> str:
        """The salt (64 hex digits) of the version that a job writes; `job` is its public fingerprint."""
        return self.compute(labels.dataset_salt(version, job), _DIGEST_BYTES).hex()

    def public_origin(self, digest: str) -> str:
        """What is published in place of the digest of the source that images came from (hex)."""
        return self.compute(labels.origin(digest), _DIGEST_BYTES).hex()

    def order_secret(self, digest: str) -> bytes:
        """The secret by which the files of the folder with this digest are put in order, 32 bytes."""
        return self.compute(labels.keyed_order(digest), _DIGEST_BYTES)

    def mac(self, salt: str, message: bytes) -> str:
        """HMAC-SHA256 (hex) of a dataset's manifest, under a key made from this one for that dataset alone."""
        return hmac.digest(self.compute(labels.dataset_mac(salt), _DIGEST_BYTES), message, "sha256").hex()

    def hide(self, salt: str, text: bytes, context: bytes) -> bytes:
        """Encrypts a text, such as class names: AES-SIV (RFC 5297), deterministic and authenticated.

        Args:
          salt: the dataset's; the text is revealed under the same salt only.
          text: what to hide.
          context: a label that says what it is.
        """
        hidden: bytes = self._siv(salt).encrypt_deterministically(text, context)
        return hidden

    def reveal(self, salt: str, hidden: bytes, context: bytes) -> bytes:
        """The inverse of `hide`.

        Raises:
          KeyStoreError: the hidden text was changed, or is of another key, dataset or context.
        """
        try:
            text: bytes = self._siv(salt).decrypt_deterministically(hidden, context)
        except tink.TinkError as error:
            raise KeyStoreError(
                "what encryption.json hides was damaged or changed; restore it from a copy"
            ) from error
        return text

    def _siv(self, salt: str) -> daead.DeterministicAead:
        daead.register()
        secret = self.compute(labels.class_names_key(salt), _AES_SIV_BYTES)
        key = aes_siv_pb2.AesSivKey(version=0, key_value=secret)
        return single_key("AesSivKey", key.SerializeToString()).primitive(daead.DeterministicAead)
