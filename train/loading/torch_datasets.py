"""Shards as PyTorch's two kinds of dataset. Importing this module imports PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lpe.train.loading.shards import Shards
from lpe.transforms.extras import require

torch = require("torch", "torch")
data = require("torch.utils.data", "torch")
collate = require("torch.utils.data._utils.collate", "torch")  # where its documentation has one add types


class ShardsDataset(data.Dataset):
    """A split's examples by number, for a DataLoader that shuffles and makes batches itself.

        loader = DataLoader(ShardsDataset(shards), batch_size=128, shuffle=True, num_workers=2)

    A batch is read at once, and is not put together from its examples.

    Args:
      shards: what they are of; its order, batch size and part do not matter here.
      channels_first: whether images are [C, H, W]; a batch of them is then a view in PyTorch's channels-last format.
    """

    def __init__(self, shards: Shards, *, channels_first: bool = False) -> None:
        self._shards = shards
        self._channels_first = channels_first

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._shards)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """An example: image uint8 [H, W, C], label, and with ids its id."""
        images, labels, *ids = self._tensors([index])
        return (images[0], int(labels[0]), *(texts[0] for texts in ids))

    def __getitems__(self, indices: Sequence[int]) -> _Samples:
        """Some examples, which PyTorch's own collating takes as the batch that they are."""
        return _Samples(self._tensors(indices))

    def _tensors(self, indices: Sequence[int]) -> tuple[Any, ...]:
        return _to_tensors(self._shards.take(indices), self._channels_first)


class ShardsIterable(data.IterableDataset):
    """A split's batches in their order, for a DataLoader with `batch_size=None`.

        loader = DataLoader(ShardsIterable(shards), batch_size=None, num_workers=2)

    Workers take turns, so that the loader gives the same batches in the same order whatever their number. Without
    `persistent_workers`, each loop starts from a copy of this object: call `set_epoch` before it.

    Args:
      shards: what they are of.
      channels_first: whether images are [N, C, H, W], a view in PyTorch's channels-last format.
    """

    def __init__(self, shards: Shards, *, channels_first: bool = False) -> None:
        self._shards = shards
        self._channels_first = channels_first

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return self._shards.steps

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """The batches of the next epoch that this worker takes: images uint8 [B, H, W, C] and labels int64 [B]."""
        worker = data.get_worker_info()
        turns = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batches = self._shards.batches(*turns)
        return (_to_tensors(batch, self._channels_first) for batch in batches)

    def set_epoch(self, epoch: int) -> None:
        """See `Shards.set_epoch`."""
        self._shards.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """See `Shards.state_dict`; in a worker the place of that worker, which StatefulDataLoader collects."""
        return self._shards.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Shards.load_state_dict`."""
        self._shards.load_state_dict(state)


def _to_tensors(batch: tuple[Any, ...], channels_first: bool) -> tuple[Any, ...]:
    """A batch of arrays as tensors on the same memory."""
    images, labels, *ids = batch
    pixels = torch.from_numpy(images)
    return (pixels.permute(0, 3, 1, 2) if channels_first else pixels, torch.from_numpy(labels), *ids)


class _Sample(tuple[Any, ...]):
    """An example of `_Samples`; PyTorch's collating is told apart by this type."""


class _Samples(Sequence[Any]):
    """A batch that looks like the list of its examples."""

    def __init__(self, batch: tuple[Any, ...]) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch[1])

    def __getitem__(self, index: Any) -> Any:
        images, labels, *ids = self.batch
        return _Sample((images[index], int(labels[index]), *(texts[index] for texts in ids)))


def _collate(samples: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    """Gives a batch of `_Samples` as it is; a list that somebody made of them is put together."""
    if isinstance(samples, _Samples):
        return samples.batch
    return tuple(collate.default_collate(column) for column in zip(*samples, strict=True))


collate.default_collate_fn_map[_Sample] = _collate
