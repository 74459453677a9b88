"""Shards in PyTorch's DataLoader: batches, workers, resuming."""

import pickle

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

from torch.utils.data import DataLoader, Subset  # noqa: E402

from lpe.data import Shards  # noqa: E402
from lpe.torch import ShardsDataset, ShardsIterable  # noqa: E402
from tests.train.datasets import toy_images  # noqa: E402


def shards(toy, **settings):
    return Shards(toy, batch_size=16, shuffle=True, seed=1, ids=True, **settings)


def ids(loader):
    return [image_id for _, _, batch_ids in loader for image_id in batch_ids]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_give_the_batches_in_order(toy, workers):
    used = shards(toy)
    ids(used)
    batches = pickle.loads(pickle.dumps(ShardsIterable(used)))  # as for workers that are spawned
    loader = DataLoader(batches, batch_size=None, num_workers=workers)
    assert len(loader) == len(batches) == 13
    alone = shards(toy)
    for epoch in range(2):
        batches.set_epoch(epoch)
        assert ids(loader) == ids(alone)


def test_workers_that_persist_go_on_to_the_next_epoch(toy):
    loader = DataLoader(ShardsIterable(shards(toy)), batch_size=None, num_workers=2, persistent_workers=True)
    alone = shards(toy)
    assert [ids(loader), ids(loader)] == [ids(alone), ids(alone)]


def test_a_loop_with_workers_goes_on_from_what_was_counted(toy):
    whole, resumed = shards(toy), ShardsIterable(shards(toy))
    resumed.load_state_dict(whole.state_dict(epoch=1, batch=5))
    whole.set_epoch(1)
    assert ids(DataLoader(resumed, batch_size=None, num_workers=2)) == ids(whole)[5 * 16 :]


def test_a_loop_in_this_process_has_a_state(toy):
    batches, resumed = ShardsIterable(shards(toy)), ShardsIterable(shards(toy))
    loop = iter(DataLoader(batches, batch_size=None))
    seen = ids([next(loop), next(loop)])
    resumed.load_state_dict(batches.state_dict())
    assert seen + ids(resumed) == ids(shards(toy))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("channels_first", [False, True])
def test_a_dataset_by_number_is_collated_as_a_whole(toy, workers, channels_first):
    images, labels = toy_images(200, 0)
    dataset = ShardsDataset(shards(toy), channels_first=channels_first)
    loader = DataLoader(dataset, batch_size=32, shuffle=True, num_workers=workers)
    seen = []
    for pixels, found, names in loader:
        rows = [int(name.removeprefix("train-")) for name in names]
        expected = torch.from_numpy(images[rows])
        assert torch.equal(pixels, expected.permute(0, 3, 1, 2) if channels_first else expected)
        assert found.tolist() == labels[rows].tolist()
        assert (pixels.dtype, found.dtype) == (torch.uint8, torch.int64)
        seen += rows
    assert sorted(seen) == list(range(200))
    image, label, name = dataset[7]
    assert image.shape == ((3, 16, 16) if channels_first else (16, 16, 3))
    assert (label, name) == (labels[7], "train-0000007")


def test_a_batch_by_number_is_still_a_list_of_examples(toy):
    dataset = ShardsDataset(shards(toy))
    sizes = DataLoader(dataset, batch_size=32, collate_fn=lambda samples: [s[2] for s in samples])
    assert [name for names in sizes for name in names][:2] == ["train-0000000", "train-0000001"]
    part = DataLoader(Subset(dataset, range(10, 20)), batch_size=10)
    assert ids(part) == [f"train-{number:07d}" for number in range(10, 20)]
    mixed = torch.utils.data.default_collate([dataset.__getitems__([3])[0], dataset.__getitems__([4])[0]])
    assert mixed[2] == ["train-0000003", "train-0000004"]
    assert mixed[1].tolist() == [0, 1]
