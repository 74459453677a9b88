"""Hybrid encryption that another implementation of RFC 9180 reads and writes, so that nobody is locked in."""

from __future__ import annotations

import copy
import pickle

import pytest
from cryptography.hazmat.primitives import hpke as other
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from lpe.pipeline.attestation import hpke
from lpe.transforms.errors import AttestationError

SUITE = other.Suite(other.KEM.X25519, other.KDF.HKDF_SHA256, other.AEAD.AES_256_GCM)


def test_another_implementation_opens_what_is_encrypted():
    key = X25519PrivateKey.generate()
    ciphertext = hpke.encrypt(key.public_key().public_bytes_raw(), b"a data key", b"info")
    assert SUITE.decrypt(ciphertext, key, info=b"info") == b"a data key"


def test_what_another_implementation_encrypts_is_opened():
    key = hpke.PrivateKey.new()
    ciphertext = SUITE.encrypt(b"a model", X25519PublicKey.from_public_bytes(key.public), info=b"info")
    assert key.decrypt(ciphertext, b"info") == b"a model"
    assert hpke.PrivateKey(key.private_bytes()).decrypt(ciphertext, b"info") == b"a model"


@pytest.mark.parametrize("change", ["key", "info", "first byte", "last byte", "cut", "empty"])
def test_anything_else_does_not_open(change):
    key = hpke.PrivateKey.new()
    ciphertext = bytearray(hpke.encrypt(key.public, b"a data key", b"info"))
    ciphertext[{"first byte": 0, "last byte": -1}.get(change, 0)] ^= change.endswith("byte")
    ciphertext = ciphertext[: {"cut": 40, "empty": 0}.get(change, len(ciphertext))]
    opener = hpke.PrivateKey.new() if change == "key" else key
    with pytest.raises(AttestationError, match="another key, or changed"):
        opener.decrypt(bytes(ciphertext), b"other" if change == "info" else b"info")


def test_a_private_key_is_neither_pickled_nor_copied_nor_shown():
    key = hpke.PrivateKey.new()
    with pytest.raises(TypeError, match="must not be pickled"):
        pickle.dumps(key)
    with pytest.raises(TypeError, match="must not be pickled"):
        copy.deepcopy(key)
    assert key.private_bytes().hex() not in repr(key)
