"""The description of a dataset's encryption: enough to find the key and to refuse another, no secret."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.keystore import DatasetKey, KeyRef, Registry, SealSpec
from lpe.transforms import labels
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.keyed import CipherSpec


@dataclasses.dataclass(frozen=True)
class Encryption:
    """A dataset's encryption, as encryption.json describes it.

    Attributes:
      spec: cipher, public parameters, scope, salt.
      key_name: the keyset.
      key_id: the key.
      check_value: tells the key from others (hex).
      hidden_class_names: with hidden labels, the true class names, encrypted under the key (base64).
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
    def of(cls, dataset: Dataset | None, remedy: str, where: str | None = None) -> Encryption:
        """The encryption of an opened dataset.

        Args:
          dataset: the dataset; None for an input that is none.
          remedy: what to do where there is no encryption, for the message.
          where: the input as it was named, for the message; by default the dataset's directory.

        Raises:
          DataError: the dataset is plain or none of lpe's, or its encryption.json is damaged.
        """
        if dataset is None or dataset.encryption is None:
            place = where or (dataset.directory if dataset is not None else "the input")
            raise DataError(f"{place}: not an encrypted dataset of lpe's; {remedy}")
        return cls.from_json(dataset.encryption, dataset.directory)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Encryption:
        """The inverse of `to_json`; further fields are passed over.

        Args:
          value: the content of encryption.json, or what a training run recorded of it.
          where: what recorded it, for the message.

        Raises:
          DataError: something is missing or damaged.
        """
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

    def key_ref(self, keystore: str) -> KeyRef:
        """A reference to the key, in the key store at this URI."""
        return KeyRef(keystore, self.key_name, self.key_id)

    def open_key(self, keystore: str) -> DatasetKey:
        """Fetches the key from the key store at this URI, and checks that it is the one.

        Raises:
          KeyStoreError: it is not there, not enabled, or another key of the same id.
        """
        key = self.key_ref(keystore).open()
        key.verify(self.spec.salt, self.check_value)
        return key

    def class_names(self, key: DatasetKey, shown: tuple[str, ...]) -> tuple[str, ...]:
        """The true class names of a dataset.

        Args:
          key: the dataset's.
          shown: the published class names; the true ones where they are not hidden.

        Raises:
          KeyStoreError: the hidden class names were changed.
        """
        if self.hidden_class_names is None:
            return shown
        names = json.loads(key.reveal(self.spec.salt, base64.b64decode(self.hidden_class_names)))
        return tuple(names)

    def label_order(self, key: DatasetKey, classes: int) -> list[int]:
        """The order of classes: class i of the owner is class label_order[i] of the dataset."""
        if self.hidden_class_names is None:
            return list(range(classes))
        return key.label_order(self.spec.salt, classes)


def new_encryption(
    key: DatasetKey,
    spec: CipherSpec,
    class_names: tuple[str, ...] | None,
    sealed_shape: ImageShape | None,
) -> Encryption:
    """Describes an encryption that is about to be made under a key.

    Args:
      key: the key.
      spec: cipher, public parameters, scope, salt.
      class_names: the true class names if they are to be hidden, else None.
      sealed_shape: (H, W, C) of the images if they are to be sealed, else None.
    """
    hidden = None
    if class_names is not None:
        text = json.dumps(list(class_names)).encode()
        hidden = base64.b64encode(key.hide(spec.salt, text)).decode()
    seal = None
    if sealed_shape is not None:
        seal = SealSpec(sealed_shape, key.data_key(spec.salt).check_value())
    return Encryption(spec, key.name, key.id, key.check_value(spec.salt), hidden, seal)


def register_run(keystore: str, directory: str, recorded: Mapping[str, Any]) -> Encryption:
    """Records in the key store that the model of a training run needs its key.

    Args:
      keystore: the key store's URI.
      directory: the run's.
      recorded: the encryption of its data, as the run recorded it.

    Returns:
      The encryption of its data.

    Raises:
      DataError: the run's record is damaged.
      KeyStoreError: the key is not the one, or cannot be used.
    """
    encryption = Encryption.from_json(recorded, directory)
    encryption.open_key(keystore)
    Registry(keystore).register_run(encryption.key_name, encryption.key_id, directory, encryption.spec.salt)
    return encryption


def dataset_salt(name: str, version: str, source_digest: str) -> str:
    """The salt of a dataset (32 hex digits), derived, so that the same job gives the same bytes anywhere.

    Args:
      name: the dataset's, as TFDS has it.
      version: the dataset's, e.g. `1.0.0`.
      source_digest: of the plain images that it is made from.
    """
    return hashlib.sha256(labels.dataset_salt(name, version, source_digest)).hexdigest()[:32]
