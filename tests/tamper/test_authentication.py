"""Everything that an adversary without the key can do to an encrypted dataset, who makes all checksums right again."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lpe
from lpe.train.loading.shards import Shards
from tests.tamper import editing
from tests.tamper.edits import BY_KIND
from tests.tamper.owner import KEYSET, Owner, in_turn, refusal, snapshot


def reading_with_key(owner: Owner, kind: str) -> dict[str, Callable[[], object]]:
    """All commands that read a dataset and have its key store, by name."""
    home, keystore = str(owner.home(kind)), owner.keystore

    def verify() -> None:
        found = lpe.verify(home, keystore)
        if found.problems:
            raise lpe.DataError(found.problems[0])

    return {
        "verify": verify,
        "decrypt": lambda: owner.decrypt(kind, "back"),
        "decrypt, skipping": lambda: owner.decrypt(kind, "back", skip=True),
        "reencrypt": lambda: owner.reencrypt(kind, change=lpe.CipherChange("lpe-100")),
        "reencrypt when due": lambda: owner.reencrypt(kind, if_due=True),
        "export": lambda: lpe.export_data_key(home, keystore, KEYSET, str(owner.root / "out.key")),
        "show": lambda: lpe.show(str(owner.root / "out.png"), dataset=home, keystore=keystore),
        "audit": lambda: lpe.audit(
            lpe.AuditSpec(str(owner.root / "audit"), dataset=home, keystore=keystore, images=20)
        ),
    }


def refused_with_key(owner: Owner, kind: str, number: int | None = None) -> None:
    """Every command refuses the dataset, and none leaves anything behind; with a number, those whose turn it is."""
    before = snapshot(owner.root)
    commands = reading_with_key(owner, kind)
    for read in (commands if number is None else in_turn(commands, number)).values():
        with refusal():
            read()
    assert snapshot(owner.root) == before


NO_CHANGE = {("unsealed", "unsealed"), ("unsealed", "no mac"), ("unsealed", "unsealed without mac")}
# They change the owner's MAC alone, which who has the data key cannot compute.
WITH_KEY_ALONE = {"no mac", "data_key_mac_for_both"}


@contextlib.contextmanager
def edited(owner: Owner, kind: str, name: str) -> Iterator[None]:
    """A version is edited while the block lasts; what goes wrong in it says by which edit."""
    directory = owner.version(kind)
    sound = {path: path.read_bytes() for path in directory.iterdir()}
    before = snapshot(directory)
    try:
        editing.edit(directory, lambda version: BY_KIND[kind][name](version, owner))
        assert snapshot(directory) != before
        yield
    except BaseException as error:
        error.add_note(f"edit: {name}")
        raise
    for path in {*directory.iterdir()} - {*sound}:
        path.unlink()
    for path, content in sound.items():
        path.write_bytes(content)


@pytest.mark.parametrize("kind", BY_KIND)
def test_no_edit_without_the_key_is_taken(owner, kind):
    for number, name in enumerate(BY_KIND[kind]):
        if (kind, name) not in NO_CHANGE:
            with edited(owner, kind, name):
                refused_with_key(owner, kind, number + len(kind))  # another turn for each kind
    owner.decrypt(kind, "back")  # what is sound is taken


def test_who_has_the_data_key_alone_opens_no_edited_dataset(owner):
    home, data_key = str(owner.home("sealed")), str(owner.root / "data.key")
    for name in BY_KIND["sealed"].keys() - WITH_KEY_ALONE:
        with edited(owner, "sealed", name):
            before = snapshot(owner.root)
            with refusal():
                owner.unseal("sealed", "opened")
            with refusal():
                Shards(home, data_key=data_key)
            assert snapshot(owner.root) == before
    owner.unseal("sealed", "opened")
    assert list(Shards(home, data_key=data_key))


# -- whole versions and whole files ------------------------------------------------------------------------------------


def renumbered(old: Path, new: Path) -> None:
    """A copy of a version that says the number that it stands at."""
    aside = new.with_name("aside")
    shutil.copytree(old, aside)
    editing.edit(aside, lambda version: version.info.update(version=new.name))
    aside.rename(new)


def test_a_version_moved_over_another_number_is_refused(owner):
    """Rollback: an old version in the place of the newest one."""
    lpe.KeyStore(owner.keystore).rotate(KEYSET)
    owner.reencrypt("enc")
    old, new = owner.version("enc"), owner.version("enc", "1.0.1")
    shutil.rmtree(new)
    shutil.copytree(old, new)
    refused_with_key(owner, "enc")
    shutil.rmtree(new)
    renumbered(old, new)
    refused_with_key(owner, "enc")


@pytest.mark.parametrize("number", ["0.0.9", "1.0.7"])
def test_a_copy_under_another_number_is_refused(owner, number):
    shutil.copytree(owner.version("enc"), owner.version("enc", number))
    shutil.rmtree(owner.version("enc"))
    refused_with_key(owner, "enc")


def test_a_made_up_newest_version_is_refused_and_none_retired_for_it(owner):
    renumbered(owner.version("enc"), owner.version("enc", "9.0.0"))
    refused_with_key(owner, "enc")
    with refusal("9.0.0"):
        owner.encrypt("synthetic:1", "enc")


def test_no_key_is_destroyed_because_an_edited_version_says_that_it_needs_another(owner):
    """The current version is made to name the new key: re-encrypting it would seem done, the old key unneeded."""
    lpe.Registry(owner.keystore).record_dataset(KEYSET, owner.key.open().id, str(owner.version("enc")))
    lpe.KeyStore(owner.keystore).rotate(KEYSET)
    new = owner.key.open().id
    shutil.copytree(owner.version("enc"), owner.root / "copy")
    editing.edit(owner.version("enc"), lambda version: version.manifest["key"].update(id=new))
    with refusal():
        owner.reencrypt("enc", destroy_keys=True)
    shutil.rmtree(owner.version("enc"))
    shutil.copytree(owner.root / "copy", owner.version("enc"))
    owner.decrypt("enc", "back")


def test_no_key_is_forgotten_because_an_edited_old_version_says_that_it_needs_another(owner):
    registry = lpe.Registry(owner.keystore)
    old = owner.key.open().id
    registry.record_dataset(KEYSET, old, str(owner.version("enc")))
    lpe.KeyStore(owner.keystore).rotate(KEYSET)
    owner.reencrypt("enc")
    new = owner.key.open().id
    editing.edit(owner.version("enc"), lambda version: version.manifest["key"].update(id=new))
    owner.reencrypt("enc")
    assert lpe.destroy_unused_keys([KEYSET], owner.keystore).destroyed == ()
    assert str(owner.version("enc")) in registry.metadata(KEYSET).keys[old].datasets


# -- files changed without a word --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["enc", "hidden", "unsealed"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_shard_that_is_another_than_the_manifest_says_is_refused(owner, kind, split):
    """Even where only the first images are looked at, and those are as they were."""
    (path,) = owner.version(kind).glob(f"*-{split}.tfrecord-00000*")
    version = editing.read(owner.version(kind))
    version.shards[split][0][-2:] = reversed(version.shards[split][0][-2:])
    path.write_bytes(editing.encoded(version.shards[split][0], version.format))
    for name, read in reading_with_key(owner, kind).items():
        if name in ("export", "reencrypt when due") or (name == "show" and split == "train"):
            continue  # which read no shard, or none of this split
        if name == "audit" and split == "test":
            continue
        with refusal(path.name):
            read()


# -- damage that is skipped --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["enc", "hidden", "sealed", "unsealed"])
def test_no_authenticated_shard_is_taken_with_a_damaged_record(owner, kind):
    """With `--on-bad-record skip` an adversary could else leave out the images that they choose."""
    (path,) = owner.version(kind).glob("*-train.tfrecord-00001*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for name, read in reading_with_key(owner, kind).items():
        if name.startswith(("decrypt", "verify")) or name == "reencrypt":
            with refusal("train"):
                read()
    assert not owner.version("back").exists()
