"""Everything that an adversary without the key can do to an encrypted dataset, who makes all checksums right again."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lpe
from lpe.pipeline.records import RecordFormat
from tests.tamper import editing
from tests.tamper.editing import Example, Version
from tests.tamper.owner import CLASSES, KEYSET, SIZE, Owner, refusal, snapshot

Edit = Callable[[Version, Owner], None]


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


def refused_with_key(owner: Owner, kind: str) -> None:
    """Every command refuses the dataset, and none leaves anything behind."""
    before = snapshot(owner.root)
    for name, read in reading_with_key(owner, kind).items():
        with refusal():
            read()
        assert snapshot(owner.root) == before, name


# -- the edits ---------------------------------------------------------------------------------------------------------


def random_images(version: Version) -> None:
    random = np.random.RandomState(0)
    for part in version.shards.values():
        for examples in part:
            examples[:] = [
                dataclasses.replace(e, image=random.randint(0, 256, e.image.shape, np.uint8))
                for e in examples
            ]


def another_shape(version: Version, height: int, width: int) -> None:
    shape = (height, width, 3)
    version.format = RecordFormat(shape)
    version.features["featuresDict"]["features"]["image"]["tensor"]["shape"]["dimensions"] = [
        str(size) for size in shape
    ]
    for part in version.shards.values():
        for examples in part:
            examples[:] = [dataclasses.replace(e, image=np.zeros(shape, np.uint8)) for e in examples]


def strip_seal(version: Version, owner: Owner) -> None:
    version.manifest["seal"] = None
    another_shape(version, SIZE, SIZE)
    random_images(version)


def strip_seal_and_sign_of_it(version: Version, owner: Owner) -> None:
    strip_seal(version, owner)
    version.manifest["unsealed"] = True
    version.manifest["mac"]["key"] = None


def reshape(version: Version, owner: Owner) -> None:
    another_shape(version, SIZE // 2, 2 * SIZE)


def drop(version: Version, owner: Owner) -> None:
    del version.shards["train"][0][::2]


def drop_a_shard(version: Version, owner: Owner) -> None:
    version.shards["train"].pop()


def drop_a_split(version: Version, owner: Owner) -> None:
    del version.shards["test"]


def reverse(version: Version, owner: Owner) -> None:
    version.shards["train"][0].reverse()


def duplicate(version: Version, owner: Owner) -> None:
    version.shards["train"][0].append(version.shards["train"][0][0])


def copy_between_shards(version: Version, owner: Owner) -> None:
    version.shards["train"][1].append(version.shards["train"][0].pop())


def copy_between_splits(version: Version, owner: Owner) -> None:
    version.shards["test"][0] += version.shards["train"][0][:3]


def swap_shards(version: Version, owner: Owner) -> None:
    version.shards["train"].reverse()


def swap_splits(version: Version, owner: Owner) -> None:
    shards = version.shards
    shards["train"], shards["test"] = shards["test"], shards["train"]


def reorder_splits(version: Version, owner: Owner) -> None:
    version.shards = dict(reversed(version.shards.items()))


def rename_split(version: Version, owner: Owner) -> None:
    version.shards["validation"] = version.shards.pop("test")


def each(version: Version, change: Callable[[Example], Example]) -> None:
    version.shards["train"][0] = [change(example) for example in version.shards["train"][0]]


def relabel(version: Version, owner: Owner) -> None:
    each(version, lambda e: dataclasses.replace(e, label=(e.label + 1) % len(CLASSES)))


def rename(version: Version, owner: Owner) -> None:
    each(version, lambda e: dataclasses.replace(e, id="x" + e.id[1:]))


def swap_ids(version: Version, owner: Owner) -> None:
    first = version.shards["train"][0]
    ids = [e.id for e in first]
    version.shards["train"][0] = [
        dataclasses.replace(e, id=i) for e, i in zip(first, reversed(ids), strict=True)
    ]


def swap_images(version: Version, owner: Owner) -> None:
    first = version.shards["train"][0]
    images = [e.image for e in first]
    version.shards["train"][0] = [
        dataclasses.replace(e, image=i) for e, i in zip(first, reversed(images), strict=True)
    ]


def rename_classes(version: Version, owner: Owner) -> None:
    version.class_names.reverse()


def add_a_class(version: Version, owner: Owner) -> None:
    version.class_names.append("fox")
    version.features["featuresDict"]["features"]["label"]["classLabel"]["numClasses"] = "4"


def images_of_another(version: Version, owner: Owner) -> None:
    version.shards = editing.read(owner.version("other")).shards


def shard_of_another(version: Version, owner: Owner) -> None:
    version.shards["train"][1] = editing.read(owner.version("other")).shards["train"][1]


def class_names_of_another(version: Version, owner: Owner) -> None:
    other = editing.read(owner.version("other")).manifest["sealed_class_names"]
    assert other not in (None, version.manifest["sealed_class_names"])
    version.manifest["sealed_class_names"] = other


def set_field(field: str, value: object) -> Edit:
    def change(version: Version, owner: Owner) -> None:
        assert version.manifest.get(field, "") != value
        version.manifest[field] = value

    return change


def set_inner(field: str, name: str, value: object) -> Edit:
    def change(version: Version, owner: Owner) -> None:
        assert version.manifest[field].get(name, "") != value
        version.manifest[field][name] = value

    return change


def of_another(field: str) -> Edit:
    def change(version: Version, owner: Owner) -> None:
        other = editing.read(owner.version("other")).manifest[field]
        assert other != version.manifest[field]
        version.manifest[field] = other

    return change


def swapped_macs(version: Version, owner: Owner) -> None:
    macs = version.manifest["mac"]
    macs["key"], macs["data_key"] = macs["data_key"], macs["key"]


def data_key_mac_for_both(version: Version, owner: Owner) -> None:
    macs = version.manifest["mac"]
    macs["key"] = macs["data_key"]
    if macs["key"] is None:
        macs["key"] = "0" * 64


def downgrade(version: Version, owner: Owner) -> None:
    version.manifest["format_version"] = 1
    for field in ("mac", "source", "unsealed"):
        del version.manifest[field]


def downgrade_with_an_old_salt(version: Version, owner: Owner) -> None:
    downgrade(version, owner)
    version.manifest["salt"] = version.manifest["salt"][:32]


def lose_bad_records(version: Version, owner: Owner) -> None:
    version.manifest["bad_records"] = 0
    version.others["bad_records.jsonl"] = None


def other_bad_records(version: Version, owner: Owner) -> None:
    version.manifest["bad_records"] = 2
    version.others["bad_records.jsonl"] = 2 * b'{"where": "train shard 0", "reason": "no image"}\n'


def edit_info(field: str, value: object) -> Edit:
    def change(version: Version, owner: Owner) -> None:
        version.info[field] = value

    return change


def forget_names(version: Version, owner: Owner) -> None:
    del version.features["featuresDict"]["features"]["id"]


def another_template(version: Version, owner: Owner) -> None:
    """The first shard for the second one, by a name that says no number."""
    data = version.shards["train"]
    version.shards["train"] = [data[0]]


EDITS: dict[str, Edit] = {
    change.__name__: change
    for change in (
        reshape,
        drop,
        drop_a_shard,
        drop_a_split,
        reverse,
        duplicate,
        copy_between_shards,
        copy_between_splits,
        swap_shards,
        swap_splits,
        reorder_splits,
        rename_split,
        relabel,
        rename,
        swap_ids,
        swap_images,
        rename_classes,
        add_a_class,
        images_of_another,
        shard_of_another,
        data_key_mac_for_both,
        swapped_macs,
        downgrade,
        downgrade_with_an_old_salt,
        other_bad_records,
        forget_names,
    )
}
EDITS |= {
    "random images": lambda version, owner: random_images(version),
    "unsealed": set_field("unsealed", True),
    "no mac": set_inner("mac", "key", None),
    "no macs": set_field("mac", {"key": None, "data_key": None}),
    "unsealed without mac": lambda version, owner: (
        version.manifest.update(unsealed=True),
        version.manifest["mac"].update(key=None),
    ),
    "mac of another": of_another("mac"),
    "source of another": of_another("source"),
    "salt of another": of_another("salt"),
    "salt and check value of another": lambda version, owner: (
        of_another("salt")(version, owner),
        of_another("key")(version, owner),
    ),
    "job": set_field("job", "0" * 64),
    "origin": set_field("origin", "0" * 64),
    "reencrypted from": set_field("reencrypted_from", {"version": "0.9.0", "key": 1}),
    "copies": set_field("augmentation", {"split": "test", "kinds": ["flip"], "copies": 1, "seed": 0}),
    "cipher": set_field("cipher", "lpe-100"),
    "params": set_field("params", {"channels": "shared", "chain": "hilbert"}),
    "scope": set_field("scope", "image"),
    "name": edit_info("name", "others"),
    "version": edit_info("version", "1.0.1"),
    "description": edit_info("description", "Images that are none."),
}
SEALED = {
    "seal stripped": strip_seal,
    "seal stripped, said to be unsealed": strip_seal_and_sign_of_it,
    "seal of another": of_another("seal"),
    "hidden class names of another": class_names_of_another,
    "no hidden class names": set_field("sealed_class_names", None),
    "no data key's mac": set_inner("mac", "data_key", None),
}
BY_KIND = {
    "enc": {**EDITS, "bad records lost": lose_bad_records},
    "hidden": {
        **EDITS,
        "hidden class names of another": class_names_of_another,
        "no hidden class names": set_field("sealed_class_names", None),
    },
    "sealed": {**EDITS, **SEALED},
    "unsealed": {**EDITS, "not unsealed": set_field("unsealed", False)},
    "augmented": {
        "fewer copies": lambda version, owner: (
            version.manifest.pop("augmentation"),
            version.shards.pop("train_augmented_1"),
        ),
        "copies of another seed": set_inner("augmentation", "seed", 9),
        "copies said to be images": lambda version, owner: version.manifest.pop("augmentation"),
        "copies for the images": lambda version, owner: version.shards.update(
            train=version.shards["train_augmented_1"]
        ),
    },
}
NO_CHANGE = {("unsealed", "unsealed"), ("unsealed", "no mac"), ("unsealed", "unsealed without mac")}
CASES = [
    pytest.param(kind, edit, id=f"{kind}-{name}".replace(" ", "-"))
    for kind, edits in BY_KIND.items()
    for name, edit in edits.items()
    if (kind, name) not in NO_CHANGE
]


@pytest.mark.parametrize(("kind", "edit"), CASES)
def test_no_edit_without_the_key_is_taken(owner, kind, edit):
    before = snapshot(owner.home(kind))
    editing.edit(owner.version(kind), lambda version: edit(version, owner))
    assert snapshot(owner.home(kind)) != before
    refused_with_key(owner, kind)


# They change the owner's MAC alone, which who has the data key cannot compute.
WITH_KEY_ALONE = {"no mac", "data_key_mac_for_both"}


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(e, id=n.replace(" ", "-"))
        for n, e in BY_KIND["sealed"].items()
        if n not in WITH_KEY_ALONE
    ],
)
def test_who_has_the_data_key_alone_unseals_no_edited_dataset(owner, edit):
    editing.edit(owner.version("sealed"), lambda version: edit(version, owner))
    before = snapshot(owner.root)
    with refusal():
        owner.unseal("sealed", "opened")
    assert snapshot(owner.root) == before


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
