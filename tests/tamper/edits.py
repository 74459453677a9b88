"""The edits of an encrypted version that an adversary without its key can make, by name, for each kind of dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from lpe.pipeline.records import RecordFormat
from tests.tamper import editing
from tests.tamper.editing import Example, Version
from tests.tamper.owner import CLASSES, SIZE, Owner

Edit = Callable[[Version, Owner], None]


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
