"""Metadata that reach for other files, or for all memory: refused in one line by every command, and nothing changes."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lpe
from lpe.pipeline.dataset import committed_versions, open_dataset
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.random_access import SplitReader
from lpe.train.runs import Run
from tests.tamper import editing
from tests.tamper.owner import KEYSET, Owner, in_turn, refusal, snapshot

ESCAPE = "x/../../../../../../plain/shapes/1.0.0/shapes-train"
SECONDS = 2.0
"""Within which a command refuses, on a slow machine."""
MEGABYTES = 400
"""What all refusals together may add to the memory of this process, a list of a million texts included."""

Change = Callable[[dict[str, Any]], None]


def commands(owner: Owner, path: Path) -> dict[str, Callable[[], object]]:
    """Every command that reads a dataset, by name."""
    where, out = str(path), owner.root / "out"
    read = lpe.ReadSpec(f"dataset:{where}")
    job = lpe.JobSpec(read, str(out / "data" / "shapes"), skip_bad_records=True)
    key = owner.keystore
    run = Run("r", "cnn", {}, {}, ("a",), (8, 8, 3), None, {}, 1, 1, 1.0, 0)

    def verify() -> None:
        if problems := lpe.verify(where, key).problems:
            raise lpe.DataError(problems[0])

    return {
        "decrypt": lambda: lpe.decrypt(job, key),
        "reencrypt": lambda: lpe.reencrypt(str(path.parent), key, lpe.Policy(destroy_keys=True)),
        "due": lambda: lpe.due_actions(str(path.parent), key, lpe.Policy()),
        "verify": verify,
        "verify without key": lambda: lpe.verify(where),
        "verify against": lambda: lpe.verify(str(owner.version("enc")), key, against=where),
        "unseal": lambda: lpe.unseal(job, str(owner.root / "data.key")),
        "encrypt": lambda: lpe.encrypt(job, lpe.CipherChoice("lpe-100"), owner.key),
        "ingest": lambda: lpe.ingest(job),
        "forecast": lambda: lpe.forecast(read, lpe.CipherChoice("lpe-100")),
        "train": lambda: lpe.fit(lpe.TrainSpec(data=where, output=str(out / "run"))),
        "evaluate": lambda: lpe.evaluate(run, where),
        "show": lambda: lpe.show(str(out / "a.png"), dataset=where, keystore=key),
        "show schemes": lambda: lpe.show(str(out / "a.png"), read=read, ciphers=("lpe-100",)),
        "stats": lambda: lpe.stats(read, ("lpe-100",)),
        "audit": lambda: lpe.audit(lpe.AuditSpec(str(out / "audit"), dataset=where, keystore=key)),
        "audit schemes": lambda: lpe.audit(lpe.AuditSpec(str(out / "audit"), read=read)),
        "compare": lambda: lpe.compare(lpe.CompareSpec(read, str(out / "compare"), ciphers=("lpe-100",))),
        "export": lambda: lpe.export_data_key(where, key, KEYSET, str(out / "data.key")),
    }


def refused(owner: Owner, path: Path, part: int) -> None:
    """Every command whose turn it is refuses, at once, and writes nothing but in a work directory of its own."""
    before = snapshot(owner.root, owner.root / "out" / "compare")
    for name, command in in_turn(commands(owner, path), part).items():
        started = time.monotonic()
        with refusal():
            command()
        assert time.monotonic() - started < SECONDS, name
    # A comparison has a key store and a specification before it looks at images.
    assert snapshot(owner.root, owner.root / "out" / "compare") == before


# -- what an adversary writes into dataset_info.json and features.json -------------------------------------------------


def split(**fields: object) -> Change:
    return lambda info: info["splits"][0].update(fields)


def info(**fields: object) -> Change:
    return lambda info: info.update(fields)


TEMPLATES = (
    "../../../plain/shapes/1.0.0/shapes-train.{FILEFORMAT}-{SHARD_X_OF_Y}",
    "/etc/passwd",
    "{DATASET}/../{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    "sub/{SPLIT}-{SHARD_X_OF_Y}",
    "..",
    "{SPLIT:>2000000000}",
    "{SHARD_INDEX:>2000000000}-{SPLIT}",
    "{SPLIT!r}",
    "{SPLIT.__class__}",
    "{SPLIT[0]}",
    "{SPLIT:{DATASET}}",
    "{0}",
    "{}",
    "{SPLIT",
    "}{",
    "{NAME}",
    "{SPLIT}\x00",
    "{SPLIT}\n",
    "s3://bucket/{SPLIT}",
    "{SPLIT}",
    "{SHARD_X_OF_Y}",
)
INFO: dict[str, Change] = {
    "split that climbs": split(name=ESCAPE),
    "split that climbs, with a template": split(
        name=ESCAPE, filepathTemplate="{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    ),
    **{f"template {template!r}": split(filepathTemplate=template) for template in TEMPLATES},
    **{
        f"split {name!r}": split(name=name)
        for name in ("", ".", "..", "-train", "train\x00", "a|b", "x" * 201, "trä", "{SPLIT}", "test")
    },
    **{
        f"dataset {name!r}": info(name=name)
        for name in ("../shapes", "", "/etc", "a-b", "1st", "x" * 300, "a\n", "{SPLIT}", None, 7)
    },
    **{
        f"version {version!r}": info(version=version)
        for version in (
            "../1.0.0",
            "1.0",
            "",
            "1.0.0/..",
            "01.0.0",
            "1.0.1234567890",
            "٣.0.0",
            None,
            "1.0.0\n",
        )
    },
    "a million shards": split(shardLengths=["0"] * 1_000_000),
    "10^18 examples": split(shardLengths=["1000000000000000000"]),
    "10^30 examples": split(shardLengths=["1" + "0" * 30]),
    "examples below none": split(shardLengths=["-1"]),
    "half an example": split(shardLengths=[0.5]),
    "no examples": split(shardLengths=[]),
    "lengths that are none": split(shardLengths={"0": "1"}),
    "huge number of digits": split(shardLengths=["9" * 100_000]),
    "no splits": info(splits=[]),
    "splits that are none": info(splits={}),
    "another kind of file": info(fileFormat="riegeli"),
    "kind of file that is none": info(fileFormat=["tfrecord"]),
    "supervised keys that are none": info(supervisedKeys={"tuple": {"items": [7]}}),
}


def image(**kind: object) -> Change:
    return lambda features: features["featuresDict"]["features"]["image"]["tensor"].update(kind)


def shape(*dimensions: object) -> Change:
    return image(shape={"dimensions": list(dimensions)})


def label(**kind: object) -> Change:
    return lambda features: features["featuresDict"]["features"]["label"].update(classLabel=kind)


def label_called(name: str) -> Change:
    def change(features: dict[str, Any]) -> None:
        inner = features["featuresDict"]["features"]
        inner[name] = inner.pop("label")

    return change


FEATURES: dict[str, Change] = {
    **{
        f"label {name!r}": label_called(name)
        for name in (
            "../x",
            "/etc/passwd",
            "a/b",
            "..",
            "",
            "x" * 300,
            "a\x00b",
            "../../plain/shapes/1.0.0/label",
        )
    },
    "10^10 classes": label(numClasses="10000000000"),
    "no classes": label(numClasses="0"),
    "classes below none": label(numClasses="-1"),
    "classes that are none": label(numClasses=None),
    "shape 2^31": shape("2147483648", "2147483648", "3"),
    "shape of 2^31 bytes and more": shape("65536", "65536", "1"),
    "shape 2^31 x 1": shape("2147483647", "1", "2"),
    "shape that is none": shape("8", "8"),
    "shape below none": shape("-8", "-8", "-3"),
    "shape of nothing": shape("0", "0", "0"),
    "no encoding": image(encoding="none"),
    "no image": lambda features: features["featuresDict"]["features"].pop("image"),
    "no features": lambda features: features.clear(),
    "features that are none": lambda features: features.update(featuresDict=[]),
}
FINE_WITHOUT_MANIFEST = {"no examples"}
CASES = {
    **{("dataset_info.json", name): change for name, change in INFO.items()},
    **{("features.json", name): change for name, change in FEATURES.items()},
}


def without_manifest(directory: Path) -> None:
    """Makes a version one of TFDS's own."""
    for name in ("manifest.json", "ids.parquet", "bad_records.jsonl"):
        (directory / name).unlink(missing_ok=True)


@pytest.mark.parametrize("kind", ["plain", "enc", "of TFDS"])
def test_hostile_metadata_are_refused_by_every_command(owner, kind):
    target = owner.version("hostile")
    shutil.copytree(owner.version("plain" if kind == "of TFDS" else kind), target)
    if kind == "of TFDS":
        without_manifest(target)
    sound = {path: path.read_bytes() for path in target.iterdir()}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, ((file, name), change) in enumerate(CASES.items()):
        if kind == "of TFDS" and name in FINE_WITHOUT_MANIFEST:
            continue
        editing.edit_json(target / file, change)
        editing.commit_files(target)
        try:
            refused(owner, target, number)
        except BaseException as error:
            error.add_note(f"{file}: {name}")
            raise
        for path, content in sound.items():
            path.write_bytes(content)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024 < MEGABYTES


# -- links and strays in a dataset's directory -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "enc"])
def test_two_manifests_are_refused(owner, kind):
    other = "enc" if kind == "plain" else "plain"
    for name in ("manifest.json", "encryption.json"):
        if (path := owner.version(other) / name).exists():
            shutil.copy(path, owner.version(kind))
    refused(owner, owner.version(kind), 0)


@pytest.mark.parametrize("kind", ["plain", "enc", "of TFDS"])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../../plain/shapes/1.0.0/{}"])
def test_a_link_to_another_file_is_refused(owner, kind, target):
    """A link is read as the file that it leads to: what it holds must be what was recorded."""
    directory = owner.version("plain" if kind == "of TFDS" else kind)
    hostile = owner.version("hostile")
    shutil.copytree(directory, hostile)
    if kind == "of TFDS":
        without_manifest(hostile)
    shard = next(hostile.glob("*-train.tfrecord-00000*"))
    shard.unlink()
    shard.symlink_to(
        target.format("ids.parquet" if kind == "of TFDS" else "shapes-train.tfrecord-00001-of-00002")
    )
    reading = commands(owner, hostile)
    for name in ("verify", "decrypt" if kind == "enc" else "encrypt"):
        with refusal():
            reading[name]()
    with refusal():  # as training does
        reader = SplitReader(ShardFiles(open_dataset(str(hostile))), "train", 0)
        reader.take(np.arange(len(reader)))
    assert committed_versions(str(owner.root / "out" / "data" / "shapes")) == []


def test_nothing_is_written_through_a_link(owner):
    """A local adversary puts a link where a job will write: it is replaced, or refused, never followed."""
    victim = owner.version("plain") / "manifest.json"
    before = victim.read_bytes()
    home = owner.home("enc")
    lpe.KeyStore(owner.keystore).rotate(KEYSET)
    (owner.version("enc") / "retired.json").symlink_to(victim)
    with refusal("retired.json"):
        owner.reencrypt("enc")
    (owner.version("enc") / "retired.json").unlink()
    (home / "1.0.1").symlink_to(owner.version("plain"))
    with refusal():
        owner.reencrypt("enc")
    assert victim.read_bytes() == before
    assert open_dataset(str(owner.version("plain"))).version == "1.0.0"
