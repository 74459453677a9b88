"""The description of a dataset's encryption: enough to find the key and to refuse another, no secret."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, cast

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, KEYSET_NAME
from lpe.pipeline.dataset.manifest import is_salt
from lpe.pipeline.encryption.reduction import RecordedReduction
from lpe.pipeline.keystore import DatasetKey, KeyRef, KeyStore, Registry
from lpe.pipeline.seal.spec import SealSpec
from lpe.pipeline.storage.documents import Fields
from lpe.transforms import ciphers, labels
from lpe.transforms.errors import CipherError, DataError, KeyStoreError, LpeError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.keyed import CipherSpec, Scope

_CHECK_VALUE = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclasses.dataclass(frozen=True)
class SourceDigests:
    """The digests of what a dataset was made from, which are hidden: whoever guesses the images could confirm it.

    Attributes:
      digest: of the images that were encrypted.
      origin: of the source that they came from in the beginning.
    """

    digest: str
    origin: str


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
      hidden_source: the digests of its source, encrypted under the key (base64); None in format 1.
      unsealed: whether the images were sealed, and somebody with the data key took them out.
      reduction: what was done to the images before they were encrypted; None for nothing.
    """

    spec: CipherSpec
    key_name: str
    key_id: int
    check_value: str
    hidden_class_names: str | None = None
    seal: SealSpec | None = None
    hidden_source: str | None = None
    unsealed: bool = False
    reduction: RecordedReduction | None = None

    def to_json(self) -> dict[str, Any]:
        """The part of encryption.json that describes the encryption."""
        reduction = {} if self.reduction is None else {"reduction": self.reduction.to_json()}
        return {
            **reduction,
            "cipher": self.spec.name,
            "params": dict(self.spec.params),
            "scope": self.spec.scope,
            "salt": self.spec.salt,
            "key": {"name": self.key_name, "id": self.key_id, "check_value": self.check_value},
            "sealed_class_names": self.hidden_class_names,
            "seal": self.seal.to_json() if self.seal is not None else None,
            "source": self.hidden_source,
            "unsealed": self.unsealed,
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
        fields = Fields(value, where, f"restore {ENCRYPTION_FILE}")
        # The first datasets do not mention a seal, those of format 1 neither of the last two.
        key = fields.object("key")
        seal = fields.optional_object("seal") if fields.has("seal") else None
        hidden_source = fields.optional_text("source") if fields.has("source") else None
        reduction = fields.optional_object("reduction") if fields.has("reduction") else None
        unsealed = fields.boolean("unsealed") if fields.has("unsealed") else False
        names = {name: fields.text(name) for name in ("cipher", "salt", "scope")}
        params = fields.object("params")
        settings = {name: params.text(name) for name in params.names()}
        try:
            ciphers.scheme(names["cipher"])
        except CipherError as error:  # no damage, if the scheme is another package's
            raise DataError(f"{where}: {error}") from None
        try:
            spec = CipherSpec(names["cipher"], names["salt"], cast(Scope, names["scope"]), settings)
        except LpeError as error:
            fields.refuse(str(error))
        version = fields.integer("format_version", 1, 2) if fields.has("format_version") else 1
        # What was unsealed has the salt that it was sealed with.
        if not is_salt(spec.salt, version) and not (unsealed and is_salt(spec.salt, 1)):
            fields.refuse("'salt' is not that of this format")
        return cls(
            spec=spec,
            key_name=key.text("name", KEYSET_NAME),
            key_id=key.integer("id"),
            check_value=key.text("check_value", _CHECK_VALUE),
            hidden_class_names=fields.optional_text("sealed_class_names"),
            seal=SealSpec.from_json(seal) if seal is not None else None,
            hidden_source=hidden_source,
            unsealed=unsealed,
            reduction=RecordedReduction.from_json(reduction) if reduction is not None else None,
        )

    def key_ref(self, keystore: str) -> KeyRef:
        """A reference to the key, in the key store at this URI."""
        return KeyRef(keystore, self.key_name, self.key_id)

    def check_keystore(self, keystore: str) -> None:
        """Raises KeyStoreError if the key store at this URI has no keyset of the name, and so is another one."""
        store = KeyStore(keystore)
        if store.exists(self.key_name) or self.key_name in (names := store.names()):
            return
        raise KeyStoreError(
            f"{keystore}: not the key store that this data was encrypted from: that was under key {self.key_id} of "
            f"keyset {self.key_name!r}, and here is {', '.join(map(repr, names)) or 'no keyset'}; pass the right one"
        )

    def open_key(self, keystore: str) -> DatasetKey:
        """Fetches the key from the key store at this URI, and checks that it is the one.

        Raises:
          KeyStoreError: it is not there, not enabled, or another key of the same id.
        """
        self.check_keystore(keystore)
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
        names = key.reveal(self.spec.salt, _decoded(self.hidden_class_names), labels.HIDDEN_CLASS_NAMES)
        return tuple(json.loads(names))

    def source(self, key: DatasetKey) -> SourceDigests | None:
        """The digests of the dataset's source; None in format 1, where they stand in clear.

        Raises:
          KeyStoreError: they were changed.
        """
        if self.hidden_source is None:
            return None
        text = key.reveal(self.spec.salt, _decoded(self.hidden_source), labels.HIDDEN_SOURCE)
        return SourceDigests(**json.loads(text))

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
    source: SourceDigests,
) -> Encryption:
    """Describes an encryption that is about to be made under a key.

    Args:
      key: the key.
      spec: cipher, public parameters, scope, salt.
      class_names: the true class names if they are to be hidden, else None.
      sealed_shape: (H, W, C) of the images if they are to be sealed, else None.
      source: digests of what the images are made from.
    """
    hidden = None
    if class_names is not None:
        hidden = _hidden(key, spec.salt, list(class_names), labels.HIDDEN_CLASS_NAMES)
    seal = None
    if sealed_shape is not None:
        seal = SealSpec(sealed_shape, key.data_key(spec.salt).check_value())
    hidden_source = _hidden(key, spec.salt, dataclasses.asdict(source), labels.HIDDEN_SOURCE)
    return Encryption(spec, key.name, key.id, key.check_value(spec.salt), hidden, seal, hidden_source)


def with_source(encryption: Encryption, key: DatasetKey, source: SourceDigests) -> Encryption:
    """The same encryption, of a dataset with another source."""
    hidden = _hidden(key, encryption.spec.salt, dataclasses.asdict(source), labels.HIDDEN_SOURCE)
    return dataclasses.replace(encryption, hidden_source=hidden)


def _hidden(key: DatasetKey, salt: str, value: object, context: bytes) -> str:
    return base64.b64encode(key.hide(salt, json.dumps(value).encode(), context)).decode()


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


def _decoded(text: str) -> bytes:
    """What a base64 text holds; nothing, which no key reveals, if it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
