"""What a dataset remembers of its encryption: enough to find the key and to refuse another, no secret."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.keystore import DatasetKey, KeyRef, Registry
from lpe.pipeline.keystore.data_key import SealSpec, Shape
from lpe.transforms.errors import DataError
from lpe.transforms.keyed import CipherSpec


@dataclasses.dataclass(frozen=True)
class Encryption:
    """A dataset's encryption.

    Attributes:
      spec: cipher, public parameters, scope, salt.
      key_name, key_id: the key.
      check_value: tells the key from others (hex).
      sealed_class_names: with hidden labels, the true class names, encrypted under the key (base64).
      seal: how the encrypted images are sealed; None if they are not.
    """

    spec: CipherSpec
    key_name: str
    key_id: int
    check_value: str
    hidden_class_names: str | None = None
    seal: SealSpec | None = None

    def to_json(self) -> dict[str, Any]:
        """The part of encryption.json that describes the encryption."""
        return {
            "cipher": self.spec.name,
            "params": dict(self.spec.params),
            "scope": self.spec.scope,
            "salt": self.spec.salt,
            "key": {"name": self.key_name, "id": self.key_id, "check_value": self.check_value},
            "sealed_class_names": self.hidden_class_names,
            "seal": self.seal.to_json() if self.seal is not None else None,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Encryption:
        """Raises DataError if something is missing."""
        try:
            key, seal = value["key"], value.get("seal")  # older datasets do not mention a seal
            return cls(
                spec=CipherSpec(value["cipher"], value["salt"], value["scope"], value["params"]),
                key_name=key["name"],
                key_id=int(key["id"]),
                check_value=key["check_value"],
                hidden_class_names=value["sealed_class_names"],
                seal=SealSpec.from_json(seal) if seal is not None else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where}: its encryption.json is damaged ({error!r}); restore it") from error

    @classmethod
    def of(cls, dataset: Dataset | None, remedy: str, where: str | None = None) -> Encryption:
        """The encryption of an opened dataset. Raises DataError, with the remedy, for plain data or none."""
        if dataset is None or dataset.encryption is None:
            place = where or (dataset.directory if dataset is not None else "the input")
            raise DataError(f"{place}: not an encrypted dataset of lpe's; {remedy}")
        return cls.from_json(dataset.encryption, dataset.directory)

    def key_ref(self, keystore: str) -> KeyRef:
        """Where the key is."""
        return KeyRef(keystore, self.key_name, self.key_id)

    def open_key(self, keystore: str) -> DatasetKey:
        """The key, checked against the check value. Raises KeyStoreError for another key."""
        key = self.key_ref(keystore).open()
        key.verify(self.spec.salt, self.check_value)
        return key

    def class_names(self, key: DatasetKey, shown: tuple[str, ...]) -> tuple[str, ...]:
        """The true class names of a dataset whose published ones are `shown`."""
        if self.hidden_class_names is None:
            return shown
        names = json.loads(key.unseal(self.spec.salt, base64.b64decode(self.hidden_class_names)))
        return tuple(names)

    def label_order(self, key: DatasetKey, classes: int) -> list[int]:
        """Class i of the owner is class label_order[i] of the dataset."""
        if self.hidden_class_names is None:
            return list(range(classes))
        return key.label_order(self.spec.salt, classes)


def new_encryption(
    key: DatasetKey,
    spec: CipherSpec,
    hidden_class_names: tuple[str, ...] | None,
    sealed_shape: Shape | None,
) -> Encryption:
    """Describes an encryption that is about to be made under a key.

    Args:
      hidden_class_names: the true class names if they are to be hidden, else None.
      sealed_shape: (H, W, C) of the images if they are to be sealed, else None.
    """
    sealed = None
    if hidden_class_names is not None:
        text = json.dumps(list(hidden_class_names)).encode()
        sealed = base64.b64encode(key.seal(spec.salt, text)).decode()
    seal = None
    if sealed_shape is not None:
        seal = SealSpec(sealed_shape, key.data_key(spec.salt).check_value())
    return Encryption(spec, key.name, key.id, key.check_value(spec.salt), sealed, seal)


def register_run(keystore: str, directory: str, described: Mapping[str, Any]) -> Encryption:
    """Has the key store remember that the model of a training run needs its key.

    Args:
      directory: the run's.
      described: what it recorded of its data's encryption.

    Raises:
      KeyStoreError: the key is not the one, or cannot be used.
    """
    encryption = Encryption.from_json(described, directory)
    encryption.open_key(keystore)
    Registry(keystore).register_run(encryption.key_name, encryption.key_id, directory, encryption.spec.salt)
    return encryption


def dataset_salt(name: str, version: str, source_digest: str) -> str:
    """The salt of a dataset (32 hex digits): the same job gives the same bytes anywhere."""
    return hashlib.sha256(f"lpe/v1/salt|{name}|{version}|{source_digest}".encode()).hexdigest()[:32]
