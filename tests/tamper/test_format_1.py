"""Datasets of format 1, which have no MAC: still read, with a warning, and no way round the MAC of format 2."""

from __future__ import annotations

import json
import logging
import shutil

import pytest

import lpe
from lpe.pipeline.dataset import open_dataset
from tests.tamper import editing
from tests.tamper.owner import KEYSET, Owner, refusal


def shard_bytes(owner: Owner, kind: str, version: str = "1.0.0") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in owner.version(kind, version).glob("*.tfrecord-*")}


@pytest.mark.parametrize("kind", ["enc", "sealed"])
def test_it_is_decrypted_with_a_warning(old, kind, caplog):
    caplog.set_level(logging.WARNING, "lpe")
    assert not lpe.verify(str(old.home(kind)), old.keystore, against=str(old.home("plain"))).problems
    old.decrypt(kind, "back")
    assert shard_bytes(old, "back") == shard_bytes(old, "plain")
    assert any("format 1" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("kind", ["enc", "sealed"])
def test_reencryption_after_a_rotation_makes_format_2_of_it(old, kind):
    lpe.KeyStore(old.keystore).rotate(KEYSET)
    data = old.reencrypt(kind).result.dataset
    assert data.manifest is not None
    assert data.manifest.format_version == 2
    assert data.manifest.mac["key"] is not None
    assert (data.manifest.mac["data_key"] is not None) == (kind == "sealed")
    old.decrypt(kind, "back")
    assert shard_bytes(old, "back") == shard_bytes(old, "plain")
    editing.edit(old.version(kind, "1.0.1"), lambda version: version.shards["train"][0].reverse())
    with refusal("1.0.1"):
        old.decrypt(kind, "again")


def test_a_dataset_of_format_2_is_not_passed_off_as_one_of_format_1(old):
    """With all that is genuine of an old dataset under the same key, but the new one's images."""
    lpe.encrypt(
        lpe.JobSpec(lpe.ReadSpec("synthetic:4"), str(old.home("new"))), lpe.CipherChoice("lpe-100"), old.key
    )
    genuine = json.loads((old.version("enc") / "encryption.json").read_bytes())
    before = {e.id: e.image.tobytes() for e in editing.read(old.version("new")).shards["train"][0]}

    def downgrade(version: editing.Version) -> None:
        version.manifest = {k: v for k, v in genuine.items() if k not in ("shards", "files", "sha256")}

    editing.edit(old.version("new"), downgrade)
    assert open_dataset(str(old.home("new"))).manifest.format_version == 1
    old.decrypt("new", "back")
    # The salt is the old dataset's: what comes out is noise, not the images in another order or with other labels.
    lpe.ingest(lpe.JobSpec(lpe.ReadSpec("synthetic:4"), str(old.home("true"))))
    true = {e.id: e.image for e in editing.read(old.version("true")).shards["train"][0]}
    assert before.keys() == true.keys()
    for example in editing.read(old.version("back")).shards["train"][0]:
        assert (example.image == true[example.id]).mean() < 0.5


@pytest.mark.parametrize("what", ["salt", "check value", "both"])
def test_no_old_salt_is_made_of_a_new_one(old, what):
    lpe.encrypt(
        lpe.JobSpec(lpe.ReadSpec("synthetic:4"), str(old.home("new"))), lpe.CipherChoice("lpe-100"), old.key
    )
    genuine = json.loads((old.version("enc") / "encryption.json").read_bytes())

    def downgrade(version: editing.Version) -> None:
        version.manifest["format_version"] = 1
        for field in ("mac", "source", "unsealed"):
            del version.manifest[field]
        if what in ("salt", "both"):
            version.manifest["salt"] = version.manifest["salt"][:32]
        if what in ("check value", "both"):
            version.manifest["key"]["check_value"] = genuine["key"]["check_value"]

    editing.edit(old.version("new"), downgrade)
    for read in (lambda: old.decrypt("new", "back"), lambda: lpe.verify(str(old.home("new")), old.keystore)):
        with refusal():
            read()


def test_an_old_sealed_image_is_not_moved_to_another_id(old):
    """All that format 1 binds: the image to its dataset and its id."""

    def swap(version: editing.Version) -> None:
        first = version.shards["train"][0]
        first[0].image[:], first[1].image[:] = first[1].image.copy(), first[0].image.copy()

    editing.edit(old.version("sealed"), swap)
    with refusal("does not open"):
        old.decrypt("sealed", "back")
    shutil.rmtree(old.home("sealed"))
