"""The order of the images, and what is held out."""

import concurrent.futures

import numpy as np
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.inputs import evaluation_input, training_input
from lpe.transforms.errors import DataError
from tests.train.datasets import toy_images, write_dataset


@pytest.mark.parametrize("memory_bytes", [1 << 30, 0], ids=["in memory", "streamed"])
def test_an_epoch_has_every_training_image_once_in_a_new_order(tmp_path, memory_bytes):
    images, labels = toy_images(200, 0)
    images[:, 0, 0, 0] = np.arange(200)  # tells images apart
    dataset = open_dataset(write_dataset(tmp_path / "toy", {"train": (images, labels)}))
    source = training_input(
        ShardFiles(dataset), batch_size=10, seed=3, validation_fraction=0.1, memory_bytes=memory_bytes
    )

    def epoch(number):
        batches = [source.train.batch(number, i) for i in range(source.train.steps)]
        assert {len(batch[1]) for batch in batches} == {10}
        seen = np.concatenate([batch[0][:, 0, 0, 0] for batch in batches])
        assert (labels[seen] == np.concatenate([batch[1] for batch in batches])).all()
        return seen.tolist()

    held_out = source.validation
    validation = np.concatenate([held_out.batch(0, i)[0][:, 0, 0, 0] for i in range(held_out.steps)]).tolist()
    orders = [epoch(0), epoch(1), epoch(0)]
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]
    assert sorted(orders[0] + validation) == list(range(200))
    assert len(validation) == 20
    assert len({label % 3 for label in validation}) == 3


def test_a_validation_split_is_used(tmp_path):
    splits = {"train": toy_images(30, 0), "validation": toy_images(12, 1)}
    dataset = open_dataset(write_dataset(tmp_path / "toy", splits))
    source = training_input(ShardFiles(dataset), batch_size=64, seed=0, validation_fraction=0.1)
    assert (source.train.batch_size, source.train.steps) == (30, 1)
    images, labels = source.validation.batch(0, 0)
    assert len(labels) == 12
    assert (np.sort(images, axis=None) == np.sort(splits["validation"][0], axis=None)).all()


def test_too_few_images_are_refused(tmp_path):
    dataset = open_dataset(write_dataset(tmp_path / "toy", {"train": toy_images(1, 0)}, shards=1))
    with pytest.raises(DataError, match="1 training images are too few"):
        training_input(ShardFiles(dataset), batch_size=8, seed=0, validation_fraction=0.1)


def test_evaluation_input_keeps_all_images(toy):
    found = evaluation_input(ShardFiles(open_dataset(toy)), "test", 32)
    assert [len(found.batch(0, i)[1]) for i in range(found.steps)] == [32, 28]


def test_threads_may_share_the_examples(toy):
    examples = training_input(
        ShardFiles(open_dataset(toy)), batch_size=8, seed=3, validation_fraction=0.1, memory_bytes=0
    ).train
    numbers = [(epoch, number) for epoch in (0, 1) for number in range(examples.steps)] * 3
    alone = [examples.batch(*number) for number in numbers]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda number: examples.batch(*number), numbers))
    for (images, labels), (others, other_labels) in zip(alone, together, strict=True):
        assert (images == others).all()
        assert (labels == other_labels).all()
