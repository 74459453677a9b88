"""Any flipped bit in any file of a committed dataset is found by `verify`, and refused by whatever reads it.

LPE_FLIPS   how many are tried of all datasets together: 5,000 in `make test-exhaustive`, else a tenth
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lpe
from lpe.pipeline.dataset import committed_versions, open_dataset
from lpe.pipeline.encryption.authentication import check_under_data_key, open_dataset_key
from lpe.pipeline.encryption.batch_transforms import BatchTransform, Decrypt, Identity, Unseal
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.engine.check_shard import CheckShard, check_all
from lpe.pipeline.keystore import load_data_key
from lpe.pipeline.records.bad_records import fail
from lpe.pipeline.sources.plan import open_plan, plan_dataset
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.random_access import SplitReader
from lpe.transforms.errors import LpeError
from tests.fuzz.budget import INPUTS
from tests.tamper.owner import KEYSET, Owner, make_owner, refusal, write_images

FLIPS = int(os.environ.get("LPE_FLIPS", str(INPUTS // 20)))
KINDS = ("plain", "png", "enc", "hidden", "sealed", "unsealed", "retired")


@dataclasses.dataclass(frozen=True)
class Kept:
    """A committed version, and its owner."""

    owner: Owner
    directory: Path

    @property
    def home(self) -> Path:
        return self.directory.parent


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kept]:
    """A version of every kind, small: a flip costs milliseconds."""
    root = tmp_path_factory.mktemp("flips") / "tree"
    owner = make_owner(root, train=12, others=False)
    plain = f"dataset:{owner.home('plain')}"
    sizes = write_images(root / "images" / "sizes", train=4, test=3)
    write_images(root / "images" / "sizes", train=1, test=1, seed=2, size=5)
    owner.ingest(sizes, "png", options=lpe.ReadOptions(image_size="any"))
    owner.encrypt(plain, "retired")
    lpe.KeyStore(owner.keystore).rotate(KEYSET)
    owner.reencrypt("retired")
    assert (owner.version("retired") / "retired.json").exists()
    return {kind: Kept(owner, owner.version(kind)) for kind in KINDS}


# -- what each command reads, without the job around it ----------------------------------------------------------------


def verified(kept: Kept) -> None:
    """As `lpe.verify`, on this thread."""
    data = open_dataset(str(kept.directory))
    restore: BatchTransform = Identity()
    if data.encryption is not None:
        encryption = Encryption.of(data, "")
        open_dataset_key(data, encryption, kept.owner.keystore)
        if encryption.seal is not None:
            restore = Decrypt(kept.owner.keystore, encryption, len(data.class_names))
    check = CheckShard(restore, None)
    check.setup()
    check_all([check.run(task) for task in plan_dataset(data).tasks])


def verified_without_key(kept: Kept) -> None:
    check = CheckShard(Identity(), None)
    check.setup()
    check_all([check.run(task) for task in plan_dataset(open_dataset(str(kept.directory))).tasks])


def decrypted(kept: Kept) -> None:
    """As `lpe.decrypt` and `lpe.reencrypt` read; plain data as `lpe.encrypt` does."""
    with open_plan(lpe.ReadSpec(f"dataset:{kept.directory}")) as plan:
        restore = Identity().open()
        assert plan.dataset is not None
        if plan.dataset.encrypted:
            encryption = Encryption.of(plan.dataset, "")
            open_dataset_key(plan.dataset, encryption, kept.owner.keystore)
            restore = Decrypt(kept.owner.keystore, encryption, len(plan.class_names)).open()
        for task in plan.tasks:
            for batch in task.reader.batches(fail("")):
                restore(batch)


def trained(kept: Kept) -> None:
    """As `lpe train` reads, once what is sealed was unsealed."""
    data = open_dataset(str(kept.directory))
    if data.sealed:
        encryption, key = Encryption.of(data, ""), str(kept.owner.root / "data.key")
        assert encryption.seal is not None
        check_under_data_key(data, load_data_key(key))
        opened = Unseal(key, encryption.seal, data.directory).open()
        for task in plan_dataset(data).tasks:
            for batch in task.reader.batches(fail("")):
                opened(batch)
    else:
        for split in data.splits:
            reader = SplitReader(ShardFiles(data), split, 0)
            reader.take(np.arange(len(reader)))


READING = (verified, verified_without_key, decrypted, trained)


def flips(directory: Path, count: int, seed: int) -> Iterator[tuple[Path, int]]:
    """Files, every one of them alike often, and bits in them."""
    random = np.random.RandomState(seed)
    files = sorted(directory.iterdir())
    for number in range(count):
        path = files[number % len(files)]
        yield path, int(random.randint(8 * path.stat().st_size))


@contextlib.contextmanager
def flipped(path: Path, bit: int) -> Iterator[None]:
    """A bit is flipped while the block lasts."""
    data = path.read_bytes()
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(changed)
    try:
        yield
    finally:
        path.write_bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_bit_is_found_and_refused(kept, kind):
    version = kept[kind]
    commands = [read for read in READING if kind != "png" or read is not trained]
    for read in commands:
        read(version)  # which are all content with what is sound
    missed = []
    for path, bit in flips(version.directory, FLIPS // len(kept), seed=len(kind)):
        with flipped(path, bit):
            for read in commands:
                try:
                    read(version)
                    missed.append(f"{path.name} bit {bit}: {read.__name__}")
                except LpeError as error:
                    assert "\n" not in str(error)  # noqa: PT017  (any kind of ours will do)
    assert not missed, f"{len(missed)} of {FLIPS // len(kept)}, such as {missed[:3]}"
    for read in commands:
        read(version)


@pytest.mark.parametrize("kind", ["plain", "enc", "sealed", "retired"])
def test_whole_jobs_refuse_flipped_bits(kept, kind, tmp_path):
    """In a shard, which is read by the workers of a job, and in a file that is read before."""
    version, keystore = kept[kind], kept[kind].owner.keystore
    source = lpe.ReadSpec(f"dataset:{version.directory}")
    job = lpe.JobSpec(source, str(tmp_path / "out" / "shapes"))
    (shard,) = version.directory.glob("*-train.tfrecord-*")
    other = {"plain": "ids.parquet", "retired": "retired.json"}.get(kind, "encryption.json")
    for path in (shard, version.directory / other):
        with flipped(path, 8 * (path.stat().st_size // 2)):
            try:
                found = lpe.verify(str(version.directory), None if kind == "plain" else keystore).problems
            except LpeError as error:
                found = (str(error),)
            assert path.name in found[0]
            with refusal(path.name):
                if kind == "plain":
                    lpe.encrypt(job, lpe.CipherChoice("lpe-100"), version.owner.key)
                else:
                    lpe.decrypt(job, keystore)
            if kind in ("enc", "sealed"):
                with refusal(path.name):
                    lpe.reencrypt(str(version.home), keystore, lpe.Policy(change=lpe.CipherChange("le")))
    assert committed_versions(str(tmp_path / "out" / "shapes")) == []
