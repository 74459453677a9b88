"""The key store: Tink keysets at a URI, wrapped by a key-encryption key, with metadata and an audit trail.

KeyStore(uri).create("patients")         a keyset; then keys, rotate, disable, enable, destroy, …
KeyRef(uri, "patients").open()           a DatasetKey: what pipelines carry, and where they open it
Registry(uri).record_dataset(…)          what needs which key
DatasetKey.data_key(salt)                the DataKey that seals one dataset's images, see `lpe.pipeline.seal`
"""

from lpe.pipeline.keystore.auditlog import AuditTrail
from lpe.pipeline.keystore.key import DatasetKey
from lpe.pipeline.keystore.key_ref import KeyRef
from lpe.pipeline.keystore.metadata import Metadata
from lpe.pipeline.keystore.registry import Registry
from lpe.pipeline.keystore.store import KeyInfo, KeyStore
from lpe.pipeline.keystore.uses import Use

__all__ = [
    "AuditTrail",
    "DatasetKey",
    "KeyInfo",
    "KeyRef",
    "KeyStore",
    "Metadata",
    "Registry",
    "Use",
]
