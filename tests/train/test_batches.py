"""Batches for Keras: shared by devices, and failing clearly."""

import numpy as np
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.train.batches import Batches
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.inputs import EpochClock, evaluation_input
from lpe.transforms.errors import DataError
from tests.train.datasets import write_dataset


def test_a_batch_that_devices_cannot_share_is_filled_with_images_of_no_weight(toy):
    examples = evaluation_input(ShardFiles(open_dataset(toy)), "test", 25)
    one, four = Batches(examples, EpochClock()), Batches(examples, EpochClock(), devices=4)
    assert len(one) == len(four) == 3
    for number in range(3):
        images, labels = one[number]
        filled, filled_labels, weights = four[number]
        assert len(filled) == len(filled_labels) == len(weights) == -(-len(labels) // 4) * 4
        assert (filled[: len(labels)] == images).all()
        assert (filled_labels[: len(labels)] == labels).all()
        assert weights.tolist() == [1.0] * len(labels) + [0.0] * (len(weights) - len(labels))
        assert weights.dtype == np.float32


def test_the_clock_chooses_the_epoch(toy):
    seen = []

    class Recorder:
        steps = 1

        def batch(self, epoch, number):
            seen.append((epoch, number))
            return np.zeros((1, 2, 2, 1), np.uint8), np.zeros(1, np.int64)

    clock = EpochClock()
    batches = Batches(Recorder(), clock)
    for clock.epoch in (0, 3):
        batches[0]
    assert seen == [(0, 0), (3, 0)]


def test_the_error_of_a_shard_comes_out_of_the_backends_own(tmp_path):
    home = write_dataset(tmp_path / "toy")
    dataset = open_dataset(home)
    batches = Batches(evaluation_input(ShardFiles(dataset), "test", 25), EpochClock())
    (tmp_path / "toy/1.0.0/toy-test.tfrecord-00000-of-00003").write_bytes(b"")

    def backend():
        try:
            batches[0]
        except DataError:
            raise RuntimeError("a graph failed") from None

    with pytest.raises(DataError, match=r"toy-test\.tfrecord-00000"), batches.failing_clearly():
        backend()
    with pytest.raises(ZeroDivisionError), Batches(None, EpochClock()).failing_clearly():
        1 / 0  # noqa: B018
