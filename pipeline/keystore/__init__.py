"""Keys: Tink keysets of PRF keys at a URI, wrapped by a key-encryption key."""

from lpe.pipeline.keystore.auditlog import AuditTrail
from lpe.pipeline.keystore.key import DatasetKey
from lpe.pipeline.keystore.registry import Registry
from lpe.pipeline.keystore.store import KeyInfo, KeyRef, KeyStore

__all__ = ["AuditTrail", "DatasetKey", "KeyInfo", "KeyRef", "KeyStore", "Registry"]
