"""The description of a dataset's encryption: written and read again, its key found, another refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.manifest import Manifest
from lpe.pipeline.encryption.metadata import Encryption, SourceDigests, new_encryption, register_run
from lpe.pipeline.keystore import KeyStore, Registry, Use
from lpe.pipeline.records import RecordFormat
from lpe.transforms.errors import DataError, KeyStoreError
from lpe.transforms.keyed import CipherSpec

SALT = "ab" * 32
SPEC = CipherSpec("lpe-100", salt=SALT)
SOURCE = SourceDigests("d1", "d2")
NAMES = ("cat", "dog")


@pytest.fixture
def encryption(keystore) -> Encryption:
    """Of a sealed dataset with hidden class names."""
    return new_encryption(KeyStore(keystore).open("patients"), SPEC, NAMES, (8, 8, 3), SOURCE)


def dataset(content: dict[str, Any] | None) -> Dataset:
    manifest = None
    if content is not None:
        content = {"format_version": 2, **content}
        manifest = Manifest(
            "encryption.json", 2, "j", "o", 0, {}, {}, (8, 8, 3), None, None, None, content, {}
        )
    return Dataset(
        "/enc/a/1.0.0",
        "a",
        "1.0.0",
        ("0", "1"),
        RecordFormat((1, 1, 220)),
        {},
        manifest,
        encrypted=manifest is not None,
    )


def test_the_description_is_read_as_it_was_written(encryption):
    written = json.loads(json.dumps(encryption.to_json()))
    assert list(written)[:7] == ["cipher", "params", "scope", "salt", "key", "sealed_class_names", "seal"]
    assert list(written)[7:] == ["source", "unsealed"]
    assert Encryption.from_json({"format_version": 2, **written}, "here") == encryption
    assert Encryption.of(dataset(written), "encrypt it") == encryption


def test_plain_data_has_no_encryption():
    with pytest.raises(DataError, match=r"^/enc/a/1\.0\.0: not an encrypted dataset of lpe's; encrypt it$"):
        Encryption.of(dataset(None), "encrypt it")


@pytest.mark.parametrize("missing", ["cipher", "salt", "scope", "params", "key", "sealed_class_names"])
def test_a_damaged_description_is_refused(encryption, missing):
    described = dataset(encryption.to_json())
    assert described.manifest is not None
    del described.manifest.content[missing]  # type: ignore[attr-defined]
    with pytest.raises(
        DataError, match=rf"^/enc/a/1\.0\.0: damaged \(no field '{missing}'\); restore encryption\.json"
    ):
        Encryption.of(described, "encrypt it")


def test_class_names_are_hidden_under_the_key(keystore, encryption):
    key = encryption.open_key(keystore)
    assert encryption.hidden_class_names is not None
    assert "cat" not in json.dumps(encryption.to_json())
    assert encryption.class_names(key, ("0", "1")) == NAMES
    assert encryption.label_order(key, 2) == key.label_order(SALT, 2)
    shown = dataclasses.replace(encryption, hidden_class_names=None)
    assert (shown.class_names(key, NAMES), shown.label_order(key, 2)) == (NAMES, [0, 1])


def test_another_key_of_the_same_id_is_refused(keystore, encryption):
    encryption.open_key(keystore)
    other = dataclasses.replace(encryption, check_value="00" * 16)
    with pytest.raises(KeyStoreError, match="is not the key of this dataset"):
        other.open_key(keystore)


def test_a_run_is_registered_under_the_key_that_it_recorded(keystore, encryption, tmp_path):
    recorded = {"format_version": 2, **encryption.to_json()}
    assert register_run(keystore, str(tmp_path / "run"), recorded) == encryption
    uses = Registry(keystore).uses("patients", [])
    assert uses == {encryption.key_id: [Use("run", str(tmp_path / "run"), False)]}
    recorded["key"]["check_value"] = "00" * 16
    with pytest.raises(KeyStoreError, match="is not the key of this dataset"):
        register_run(keystore, str(tmp_path / "another"), recorded)
    assert Registry(keystore).uses("patients", []) == uses


def test_the_digests_of_the_source_are_hidden_under_the_key(keystore, encryption):
    key = encryption.open_key(keystore)
    assert encryption.source(key) == SOURCE
    assert "d1" not in json.dumps(encryption.to_json()["source"])
    swapped = dataclasses.replace(encryption, hidden_source=encryption.hidden_class_names)
    with pytest.raises(KeyStoreError, match="was damaged or changed"):
        swapped.source(key)


@pytest.mark.parametrize("salt", ["ab", "AB" * 32, "ab" * 16, "ab" * 33])
def test_a_salt_of_another_format_is_refused(encryption, salt):
    with pytest.raises(DataError, match="'salt' is not that of this format"):
        Encryption.of(dataset({**encryption.to_json(), "salt": salt}), "encrypt it")
