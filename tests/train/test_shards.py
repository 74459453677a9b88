"""Shards as arrays; damage by name."""

import shutil

import numpy as np
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.train.evaluate import evaluate
from lpe.train.loop import TrainSpec, fit
from lpe.train.runs import load_run
from lpe.train.shards import Selection, sample, windows
from lpe.transforms.errors import DataError
from tests.train.datasets import toy_images, write_dataset


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
    sizes, order = np.array([5, 1, 2, 9, 3]), np.array([1, 2, 0, 3, 4])
    assert windows(sizes, order, 8) == [[1, 2, 0], [3], [4]]
    assert windows(sizes, order, 0) == [[1], [2], [0], [3], [4]]


def test_a_sample_is_spread_over_the_shards(tmp_path):
    images, labels = toy_images(60, 0)
    images[:, 0, 0, 0] = np.arange(60)  # tells images apart
    dataset = open_dataset(write_dataset(tmp_path / "toy", {"train": (images, labels)}))
    chosen = sample(dataset, "train", Selection((20, 20, 20)), 6)[:, 0, 0, 0]
    assert len(chosen) == 6
    assert set(chosen // 20) == {0, 1, 2}
    assert len(sample(dataset, "train", Selection((20, 20, 20)), 100)) == 60
