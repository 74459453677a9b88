"""Shards as arrays; damage by name."""

import dataclasses
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.train.evaluate import evaluate
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.inputs import evaluation_input, sample, training_input
from lpe.train.loading.order import windows
from lpe.train.loading.selection import Selection
from lpe.train.loop import TrainSpec, fit
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError
from tests.fuzz.trial import limits
from tests.train.datasets import ENCRYPTION, toy_images, write_dataset


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:2000] + bytes([data[2000] ^ 1]) + data[2001:], "damaged"),
        (lambda data: data[:-7], "cut off"),
        (lambda data: b"", "0 bytes cannot hold the (67|20) records"),
    ],
    ids=["flipped bit", "torn", "empty"],
)
def test_a_damaged_shard_is_named(toy, spec, tmp_path, damage, message):
    home = tmp_path / "toy"
    shutil.copytree(toy, home)
    for split in ("train", "test"):
        shard = home / "1.0.0" / f"toy-{split}.tfrecord-00001-of-00003"
        shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(DataError, match=rf"toy-train\.tfrecord-00001-of-00003: .*{message}.* restore"):
        fit(TrainSpec(data=str(home), output=str(tmp_path / "run"), epochs=1))
    with pytest.raises(DataError, match=rf"toy-test\.tfrecord-00001-of-00003: .*{message}"):
        evaluate(load_run(spec.output), str(home))


def test_a_label_beyond_the_classes_is_damage(tmp_path):
    images, labels = toy_images(30, 0)
    labels[20] = 3
    home = write_dataset(tmp_path / "toy", {"train": (images, labels)})
    with pytest.raises(DataError, match=r"00002-of-00003: a label outside 0..2 .*restore"):
        fit(TrainSpec(data=home, output=str(tmp_path / "run"), epochs=1))


@pytest.mark.parametrize("limit", [None, 1, 7, 40])
def test_a_selection_and_its_complement_are_the_split(limit):
    lengths = (13, 0, 40, 47)
    selection, rest = Selection(lengths, 0.25), Selection(lengths, 0.25, held_out=True)
    for shard, length in enumerate(lengths):
        assert (selection.mask(shard) ^ rest.mask(shard)).tolist() == [True] * length
    assert rest.counts().sum() == pytest.approx(25, abs=2)
    fewer = Selection(lengths, 0.25, limit=limit)
    assert fewer.counts().tolist() == [int(fewer.mask(shard).sum()) for shard in range(4)]
    assert fewer.counts().sum() == (limit or selection.counts().sum())
    assert all((fewer.mask(shard) <= selection.mask(shard)).all() for shard in range(4))


def test_windows_hold_no_more_than_the_limit():
    assert windows([1, 2, 5, 9, 3], 8) == [[0, 1, 2], [3], [4]]
    assert windows([1, 2, 5, 9, 3], 0) == [[0], [1], [2], [3], [4]]


def test_a_sample_is_spread_over_the_shards(tmp_path):
    images, labels = toy_images(60, 0)
    images[:, 0, 0, 0] = np.arange(60)  # tells images apart
    dataset = open_dataset(write_dataset(tmp_path / "toy", {"train": (images, labels)}))
    chosen = sample(ShardFiles(dataset), "train", Selection((20, 20, 20)), 6)[:, 0, 0, 0]
    assert len(chosen) == 6
    assert set(chosen // 20) == {0, 1, 2}
    assert len(sample(ShardFiles(dataset), "train", Selection((20, 20, 20)), 100)) == 60


def lying(home, split="train", factor=10**9):
    """An opened dataset whose metadata claim more examples than its files hold, past all checks of metadata."""
    dataset = open_dataset(home)
    lengths = tuple(length * factor for length in dataset.splits[split].shard_lengths)
    splits = {**dataset.splits, split: dataclasses.replace(dataset.splits[split], shard_lengths=lengths)}
    return dataclasses.replace(dataset, splits=splits)


def test_claims_that_the_files_cannot_hold_are_refused_before_memory_is_asked_for(toy):
    dataset = lying(toy)
    with (
        limits(),
        pytest.raises(DataError, match=r"00000-of-00003: its \d+ bytes cannot hold the 67000000000 records"),
    ):
        training_input(ShardFiles(dataset), batch_size=16, seed=0, validation_fraction=0.1)
    with limits(), pytest.raises(DataError, match="cannot hold"):
        evaluation_input(ShardFiles(lying(toy, "test")), "test", 16)


def test_a_shard_with_more_records_than_it_says_is_refused(toy):
    dataset = open_dataset(toy)
    few = dataclasses.replace(dataset.splits["test"], shard_lengths=(3, 3, 3))
    dataset = dataclasses.replace(dataset, splits={**dataset.splits, "test": few})
    with pytest.raises(DataError, match=r"toy-test.*00000-of-00003: .*records.* written"):
        evaluation_input(ShardFiles(dataset), "test", 4).batch(0, 0)


def test_zipped_shards_may_hold_more_than_they_have_bytes(tmp_path):
    images = np.zeros((300, 16, 16, 3), np.uint8)
    directory = Path(write_dataset(tmp_path / "toy", {"train": (images, np.zeros(300, np.int64))}), "1.0.0")
    for shard in directory.glob("*.tfrecord*"):
        shard.write_bytes(gzip.compress(shard.read_bytes()))
    for manifest in directory.glob("manifest.json"):  # as TFDS leaves it
        manifest.unlink()
    inputs = training_input(
        ShardFiles(open_dataset(str(directory))), batch_size=10, seed=0, validation_fraction=0.1
    )
    assert inputs.train.batch(0, 0)[0].shape == (10, 16, 16, 3)


def test_copies_of_other_lengths_are_refused(tmp_path):
    splits = {"train": toy_images(60, 0), "train_augmented_1": toy_images(57, 0)}
    augmentation = {"augmentation": {"split": "train", "copies": 1, "kinds": ["flip"], "seed": 0}}
    home = write_dataset(tmp_path / "toy", splits, encryption={**ENCRYPTION, **augmentation})
    with pytest.raises(DataError, match="train_augmented_1 has shards of other lengths"):
        training_input(ShardFiles(open_dataset(home)), batch_size=16, seed=0, validation_fraction=0.1)
