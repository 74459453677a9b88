"""Keys: Tink keysets of PRF keys at a URI, wrapped by a key-encryption key."""

from pipeline.keystore.key import DatasetKey
from pipeline.keystore.registry import Registry
from pipeline.keystore.store import KeyInfo, KeyRef, KeyStore

__all__ = ["DatasetKey", "KeyInfo", "KeyRef", "KeyStore", "Registry"]
