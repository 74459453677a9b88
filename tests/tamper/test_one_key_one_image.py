"""One key never meets two images: whatever is changed between two jobs, with `--scope image` no key is used twice."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest

import lpe
from lpe.pipeline.dataset import committed_versions, open_dataset
from lpe.pipeline.dataset.reader import file_crc32c
from lpe.pipeline.encryption.batch_transforms import Decrypt
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.records.bad_records import fail
from lpe.pipeline.sources.plan import plan_dataset
from lpe.transforms.image_shape import image_shape_of
from tests.pipeline.records.examples import framed
from tests.tamper import editing
from tests.tamper.owner import KEYSET, Owner, refusal, write_images

TRAIN = 29


@dataclasses.dataclass(frozen=True)
class Written:
    """An encrypted version: what identifies it, and which key each of its images met.

    Attributes:
      salt: the dataset's.
      data_key: the check value of its data key; None without a seal.
      images: the digest of the plain image of each context, by key id and context.
    """

    salt: str
    data_key: str | None
    images: dict[tuple[int, bytes], str]


def written(owner: Owner, directory: str) -> Written:
    """What a version holds, decrypted with the owner's key."""
    data = open_dataset(directory)
    encryption = Encryption.of(data, "")
    decrypt = Decrypt(owner.keystore, encryption, len(data.class_names)).open()
    images = {}
    for task in plan_dataset(data).tasks:
        for batch in task.reader.batches(fail("")):
            plain = decrypt(batch)
            for image_id, image in zip(plain.ids, plain.images, strict=True):
                context = encryption.spec.context(image_shape_of(plain.images), image_id)
                images[encryption.key_id, context] = hashlib.sha256(image.tobytes()).hexdigest()
    seal = encryption.seal.check_value if encryption.seal is not None else None
    return Written(encryption.spec.salt, seal, images)


def appended_to_copies(owner: Owner, read: lpe.ReadSpec, found: dict[str, Written]) -> None:
    """Adds other images to the same version: to it, to it again when what was added is lost, and to a copy of it."""
    home, copy = owner.home("grown"), owner.home("copied")
    owner.encrypt(read, "grown", scope="image", cipher="pbe")
    shutil.copytree(home, copy)
    for seed, place in ((2, home), (3, home), (4, copy)):
        more = write_images(owner.root / f"more{seed}" / "shapes", 5, 3, seed=seed)
        appended = lpe.append_encrypted(lpe.JobSpec(lpe.ReadSpec(more), str(place)), owner.key)
        found[f"appended {seed}"] = written(owner, appended.dataset.directory)
        shutil.rmtree(appended.dataset.directory)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """Jobs of the same owner that differ in one thing each, all with a key per image but for one."""
    root = tmp_path_factory.mktemp("jobs") / "tree"
    owner = Owner(root)
    lpe.KeyStore(owner.keystore).create(KEYSET)
    source = write_images(root / "images" / "shapes", TRAIN, 3)
    # The same names, sizes and classes, other pixels.
    other = write_images(root / "others" / "shapes", TRAIN, 3, seed=1)
    read = lpe.ReadSpec(source)
    found: dict[str, Written] = {}
    numbers = itertools.count()

    def encrypt(name: str, read: lpe.ReadSpec, home: str = "shapes", **choice: object) -> None:
        result = owner.encrypt(read, f"{next(numbers)}", home, **{"scope": "image", **choice})
        found[name] = written(owner, result.dataset.directory)

    def read_as(**changes: object) -> lpe.ReadSpec:
        return dataclasses.replace(read, **changes)

    encrypt("first", read)
    encrypt("validation 0.1", read_as(validation_fraction="0.1"))
    encrypt("validation 0.2", read_as(validation_fraction="0.2"))
    encrypt("size 8x8", read_as(options=lpe.ReadOptions(image_size=(8, 8))))
    encrypt("size 6x6", read_as(options=lpe.ReadOptions(image_size=(6, 6))))
    encrypt("size 4x9", read_as(options=lpe.ReadOptions(image_size=(4, 9))))
    encrypt("any size", read_as(options=lpe.ReadOptions(image_size="any")))
    encrypt("grey", read_as(options=lpe.ReadOptions(grey=True)))
    encrypt("ids kept", read_as(keep_ids=True))
    for kinds, copies, seed in ((("flip",), 1, 1), (("flip",), 1, 2), (("crop",), 1, 1), (("flip",), 2, 1)):
        augmentation = lpe.Augmentation(kinds, copies, seed)
        encrypt(f"augmented {kinds} {copies} {seed}", read, augmentation=augmentation)
    encrypt("another cipher", read, cipher="lpe-100")
    encrypt("other parameters", read, params={"channels": "independent"})
    encrypt("scope dataset", read, scope="dataset")
    encrypt("labels hidden", read, hide_labels=True)
    encrypt("sealed", read, seal=True)
    encrypt("another name", read, home="forms")
    encrypt("another source of the same names", lpe.ReadSpec(other))
    plain = owner.ingest(source, "plain").dataset.directory
    encrypt("ingested", lpe.ReadSpec(f"dataset:{plain}"))
    owner.decrypt("0", "back")
    encrypt("decrypted", lpe.ReadSpec(f"dataset:{owner.home('back')}"))
    owner.encrypt(read, "versions", scope="image")
    second = owner.reencrypt("versions", change=lpe.CipherChange(params={"channels": "independent"}))
    found["reencrypted"] = written(owner, second.result.dataset.directory)
    third = owner.reencrypt("versions", change=lpe.CipherChange(params={"channels": "shared"}))
    found["reencrypted as it was"] = written(owner, third.result.dataset.directory)
    appended_to_copies(owner, read, found)
    lpe.KeyStore(owner.keystore).rotate(KEYSET)
    encrypt("key rotated", read)
    found["reencrypted after a rotation"] = written(
        owner, owner.reencrypt("versions").result.dataset.directory
    )
    return found


def test_the_jobs_wrote_something(jobs):
    assert len(jobs) == 29
    assert all(len(job.images) >= TRAIN + 3 for name, job in jobs.items() if name != "scope dataset")
    assert len(jobs["augmented ('flip',) 2 1"].images) == 3 * TRAIN + 3


def test_no_key_of_an_image_meets_another_one(jobs):
    met: dict[tuple[int, bytes], tuple[str, str]] = {}
    twice = []
    for name, job in jobs.items():
        for context, digest in job.images.items() if name != "scope dataset" else ():
            other, before = met.setdefault(context, (name, digest))
            if before != digest:
                twice.append((other, name, context))
    assert not twice
    assert len(met) > 20 * TRAIN


def test_jobs_that_differ_share_neither_salt_nor_data_key(jobs):
    appended = {job.salt for name, job in jobs.items() if name.startswith("appended")}
    salts = [*appended, *(job.salt for name, job in jobs.items() if not name.startswith("appended"))]
    assert len(appended) == 1  # what is added to a version has its salt, and numbers of its own
    assert len(set(salts)) == len(salts)
    assert [job.data_key is not None for job in jobs.values()].count(True) == 1


@pytest.fixture
def alone(tmp_path: Path) -> Owner:
    """An owner who has a key and nothing else."""
    owner = Owner(tmp_path / "tree")
    lpe.KeyStore(owner.keystore).create(KEYSET)
    return owner


def test_equal_jobs_give_equal_bytes_wherever_they_write(alone):
    read = lpe.ReadSpec(write_images(alone.root / "images" / "shapes", TRAIN, 3), validation_fraction="0.2")
    for place in ("here", "there"):
        alone.encrypt(read, place, scope="image", hide_labels=True)
    here, there = (
        {path.name: path.read_bytes() for path in alone.version(place).iterdir()}
        for place in ("here", "there")
    )
    assert here == there


def test_sealings_of_another_source_have_another_data_key(alone):
    keys = set()
    for seed in (0, 1):
        source = write_images(alone.root / f"{seed}" / "shapes", TRAIN, 3, seed=seed)
        result = alone.encrypt(source, f"sealed{seed}", seal=True)
        keys.add(written(alone, result.dataset.directory).data_key)
    assert len(keys) == 2


def ciphertexts(directory: Path) -> dict[str, np.ndarray]:
    version = editing.read(directory)
    return {e.id: e.image for part in version.shards.values() for examples in part for e in examples}


def test_ciphertexts_of_other_validation_fractions_do_not_give_plain_images(alone):
    """Under cpbe-100, ciphertexts of two images under one key differ as the images do."""
    source = write_images(alone.root / "images" / "shapes", TRAIN, 0)
    encrypted, plain = [], []
    for place, fraction in (("a", "0.1"), ("b", "0.2")):
        read = lpe.ReadSpec(source, validation_fraction=fraction)
        encrypted.append(ciphertexts(Path(alone.encrypt(read, place, scope="image").dataset.directory)))
        alone.decrypt(place, f"back-{place}")
        plain.append(ciphertexts(alone.version(f"back-{place}")))
    common = [i for i in plain[0] if i in plain[1] and (plain[0][i] != plain[1][i]).any()]
    assert len(common) >= 20
    equal = sum(
        bool(((encrypted[0][i] ^ encrypted[1][i]) == (plain[0][i] ^ plain[1][i])).all()) for i in common
    )
    assert equal == 0


# -- a source that is changed behind its digest ------------------------------------------------------------------------


def of_tfds(directory: Path) -> None:
    """Makes a version one of TFDS's own, of which nobody recorded anything."""
    for file in ("manifest.json", "ids.parquet"):
        (directory / file).unlink()


def test_a_directory_read_in_another_way_is_another_source(alone):
    """Two pictures in each example: which one is the image is for metadata to say, that no checksum covers."""
    source = write_images(alone.root / "images" / "shapes", TRAIN, 3)
    directory = Path(alone.ingest(source, "plain").dataset.directory)
    version = editing.read(directory)
    left, right = (dataclasses.replace(version.format, image_key=key) for key in ("left", "right"))
    for split, (examples,) in version.shards.items():
        inverted = [dataclasses.replace(e, image=255 - e.image) for e in examples]
        (path,) = directory.glob(f"*-{split}.tfrecord-*")
        # Serialised messages one after the other are one message with the fields of both.
        payloads = (
            editing.encoded([a], left)[12:-4] + editing.encoded([b], right)[12:-4]
            for a, b in zip(examples, inverted, strict=True)
        )
        path.write_bytes(b"".join(map(framed, payloads)))

    def two_pictures(features: dict[str, Any]) -> None:
        image = features["featuresDict"]["features"].pop("image")
        features["featuresDict"]["features"].update(left=image, right=image)

    def supervised(key: str) -> Callable[[dict[str, Any]], None]:
        return lambda info: info["supervisedKeys"]["tuple"]["items"][0].update(featureKey=key)

    of_tfds(directory)
    editing.edit_json(directory / "features.json", two_pictures)
    found = []
    for key in ("left", "right"):
        editing.edit_json(directory / "dataset_info.json", supervised(key))
        result = alone.encrypt(f"dataset:{directory}", key, scope="image")
        found.append(written(alone, result.dataset.directory))
    assert {*found[0].images.values()}.isdisjoint(found[1].images.values())
    assert found[0].images.keys().isdisjoint(found[1].images)


def with_crc32c(data: bytearray, at: int, wanted: int) -> bytes:
    """The data with 4 bytes changed so that its CRC32C is the wanted one; CRCs are linear."""

    def crc(word: int) -> int:
        data[at : at + 4] = word.to_bytes(4, "little")
        return int(google_crc32c.value(bytes(data)))

    base = crc(0)
    columns = [crc(1 << bit) ^ base for bit in range(32)]
    # Gaussian elimination over GF(2): which bits give the difference.
    basis: dict[int, tuple[int, int]] = {}
    for bit, column in enumerate(columns):
        value, bits = column, 1 << bit
        while value and value.bit_length() in basis:
            other = basis[value.bit_length()]
            value, bits = value ^ other[0], bits ^ other[1]
        basis[value.bit_length()] = (value, bits)
    value, bits = base ^ wanted, 0
    while value:
        other = basis[value.bit_length()]
        value, bits = value ^ other[0], bits ^ other[1]
    assert crc(bits) == wanted
    return bytes(data)


def test_another_shard_of_the_same_crc32c_is_another_source(alone):
    """A record that is skipped as damaged has room for the 4 bytes that make any CRC32C."""
    source = write_images(alone.root / "images" / "shapes", TRAIN, 3)
    directory = Path(alone.ingest(source, "plain").dataset.directory)
    of_tfds(directory)
    (path,) = directory.glob("*-train.tfrecord-*")
    before = path.read_bytes()
    first = written(alone, alone.encrypt(f"dataset:{directory}", "a", scope="image").dataset.directory)
    fmt = open_dataset(str(directory)).format
    inverted = [dataclasses.replace(e, image=255 - e.image) for e in editing.examples_of(path, fmt)]
    changed = bytearray(editing.encoded(inverted, fmt))
    path.write_bytes(with_crc32c(changed, len(changed) - 30, int(google_crc32c.value(before))))
    assert file_crc32c(str(path)) == f"{google_crc32c.value(before):08x}"
    second = written(alone, alone.encrypt(f"dataset:{directory}", "b", scope="image").dataset.directory)
    assert first.salt != second.salt
    assert len(second.images) == len(first.images) - 1
    assert first.images.keys().isdisjoint(second.images)


def test_other_class_names_are_another_job(alone):
    source = write_images(alone.root / "images" / "shapes", TRAIN, 3)
    directory = Path(alone.ingest(source, "plain").dataset.directory)
    first = written(alone, alone.encrypt(f"dataset:{directory}", "a", hide_labels=True).dataset.directory)
    editing.edit(directory, lambda version: version.class_names.reverse())
    second = written(alone, alone.encrypt(f"dataset:{directory}", "b", hide_labels=True).dataset.directory)
    assert first.salt != second.salt


# -- an id that occurs twice -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("across", [False, True], ids=["within a shard", "across shards"])
@pytest.mark.parametrize("kind", ["plain", "no manifest"])
def test_an_id_that_occurs_twice_is_refused_before_anything_is_committed(owner, kind, across):
    directory = owner.version("plain")

    def repeat(version: editing.Version) -> None:
        first, second = version.shards["train"]
        place = second if across else first
        place[3] = dataclasses.replace(place[3], id=first[5].id)

    editing.edit(directory, repeat)
    if kind == "no manifest":
        of_tfds(directory)
    source = f"dataset:{directory}"
    problems = lpe.verify(str(directory)).problems
    assert len(problems) == 1
    assert "twice" in problems[0] or "more than one shard" in problems[0]
    for scope in ("image", "dataset"):
        with refusal("ids occur"):
            owner.encrypt(source, f"out-{scope}", scope=scope)
        assert committed_versions(str(owner.home(f"out-{scope}"))) == []


@pytest.mark.parametrize("across", [False, True], ids=["within a shard", "across shards"])
def test_an_id_that_occurs_twice_in_a_dataset_of_format_1_is_refused(old, across):
    """Which has no MAC: of format 2 no such dataset is believed."""

    def repeat(version: editing.Version) -> None:
        train, test = version.shards["train"][0], version.shards["test"][0]
        place = test if across else train
        place[1] = dataclasses.replace(place[1], id=train[0].id)

    editing.edit(old.version("enc"), repeat)
    assert "ids occur" in lpe.verify(str(old.home("enc")), old.keystore).problems[0]
    with refusal("ids occur"):
        old.decrypt("enc", "back")
    assert committed_versions(str(old.home("back"))) == []
    with refusal("ids occur"):
        old.reencrypt("enc", change=lpe.CipherChange(scope="image"))
    assert committed_versions(str(old.home("enc"))) == ["1.0.0"]
