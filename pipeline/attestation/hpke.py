"""Hybrid public-key encryption (HPKE, RFC 9180) by Tink: DHKEM(X25519), HKDF-SHA256, AES-256-GCM; keys as 32 bytes."""

from __future__ import annotations

import hashlib

import tink
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tink import hybrid, proto_keyset_format, secret_key_access
from tink.proto import hpke_pb2, tink_pb2

from lpe.pipeline.seal.single_key import single_key
from lpe.transforms.errors import AttestationError
from lpe.transforms.not_picklable import NotPicklable

KEY_BYTES = 32
"""The size of a public key, and of a private one."""
_PARAMS = hpke_pb2.HpkeParams(
    kem=hpke_pb2.DHKEM_X25519_HKDF_SHA256, kdf=hpke_pb2.HKDF_SHA256, aead=hpke_pb2.AES_256_GCM
)


class PrivateKey(NotPicklable):
    """A key pair. It cannot be pickled or printed.

    Args:
      secret: 32 bytes.

    Attributes:
      public: the public key, 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        hybrid.register()
        self._secret = secret
        self.public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        key = hpke_pb2.HpkePrivateKey(version=0, public_key=_public(self.public), private_key=secret)
        handle = single_key("HpkePrivateKey", key.SerializeToString(), tink_pb2.KeyData.ASYMMETRIC_PRIVATE)
        self._decrypt = handle.primitive(hybrid.HybridDecrypt)

    @classmethod
    def new(cls) -> PrivateKey:
        """A fresh key pair, made by Tink."""
        hybrid.register()
        template = hybrid.hybrid_key_templates.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM
        clear = proto_keyset_format.serialize(tink.new_keyset_handle(template), secret_key_access.TOKEN)
        key = tink_pb2.Keyset.FromString(clear).key[0]
        return cls(hpke_pb2.HpkePrivateKey.FromString(key.key_data.value).private_key)

    @property
    def fingerprint(self) -> str:
        """What a token is bound to; see `fingerprint`."""
        return fingerprint(self.public)

    def private_bytes(self) -> bytes:
        """The private key, for a file in memory that its owner alone can read."""
        return self._secret

    def decrypt(self, ciphertext: bytes, info: bytes) -> bytes:
        """What was encrypted to the public key under the same info.

        Raises:
          AttestationError: it was encrypted to another key, under another info, or changed.
        """
        try:
            plaintext: bytes = self._decrypt.decrypt(ciphertext, info)
        except tink.TinkError:
            raise AttestationError("was encrypted to another key, or changed") from None
        return plaintext


def encrypt(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Encrypts to a public key.

    Args:
      public: 32 bytes.
      plaintext: any length.
      info: a label that the ciphertext is bound to.

    Raises:
      AttestationError: that is no public key.
    """
    hybrid.register()
    try:
        handle = single_key(
            "HpkePublicKey", _public(public).SerializeToString(), tink_pb2.KeyData.ASYMMETRIC_PUBLIC
        )
        ciphertext: bytes = handle.primitive(hybrid.HybridEncrypt).encrypt(plaintext, info)
    except tink.TinkError:
        raise AttestationError(
            "nothing can be encrypted to this public key: it is no point of X25519"
        ) from None
    return ciphertext


def fingerprint(public: bytes) -> str:
    """SHA-256 (hex) of a public key."""
    return hashlib.sha256(public).hexdigest()


def _public(public: bytes) -> hpke_pb2.HpkePublicKey:
    return hpke_pb2.HpkePublicKey(version=0, params=_PARAMS, public_key=public)
