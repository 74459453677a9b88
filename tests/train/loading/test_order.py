"""The order of an epoch: as it always was for a seed, and shared without doubles or gaps."""

import numpy as np
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.inputs import training_input
from tests.train.datasets import toy_images, write_dataset

# Of the code before this folder was there.
IN_MEMORY = (
    "27 44 36 32 3 40 1 25 42 45 29 20 49 6 14 4 52 35 56 53 21 58 51 15 59 2 16 46 24 23 28 18 37 48 55 12 50 43 54 "
    "31 33 10 11 8 38 30 39 57 19 17 41 9 7 22",
    "29 31 49 12 54 27 55 42 15 32 37 16 59 44 14 28 10 52 21 53 39 23 7 46 48 58 36 3 51 43 4 33 20 11 17 8 56 41 1 "
    "19 9 50 6 40 2 38 30 24 35 18 57 45 25 22",
)
STREAMED = (
    "59 56 35 37 36 39 57 55 38 58 14 54 52 50 11 53 10 12 51 7 2 3 4 8 6 9 1 22 23 33 32 24 20 21 30 31 45 48 25 29 "
    "27 49 28 46 41 40 44 43 17 16 42 19 18 15",
    "21 2 3 20 1 23 24 22 4 57 56 9 7 8 6 58 55 59 27 28 14 25 29 10 12 11 53 37 50 54 36 52 51 39 35 38 42 49 45 40 "
    "46 41 43 48 44 33 30 15 18 31 16 19 17 32",
)


@pytest.mark.parametrize(("memory_bytes", "orders"), [(1 << 30, IN_MEMORY), (46_079, STREAMED)])
def test_a_seed_gives_the_order_that_it_always_gave(tmp_path, memory_bytes, orders):
    images, labels = toy_images(60, 0)
    images[:, 0, 0, 0] = np.arange(60)
    home = write_dataset(tmp_path / "toy", {"train": (images, labels)}, shards=12)
    source = training_input(
        ShardFiles(open_dataset(home)),
        batch_size=9,
        seed=3,
        validation_fraction=0.1,
        memory_bytes=memory_bytes,
    ).train
    for epoch, order in enumerate(orders):
        batches = [source.batch(epoch, number)[0][:, 0, 0, 0] for number in range(source.steps)]
        assert np.concatenate(batches).tolist() == [int(word) for word in order.split()]
