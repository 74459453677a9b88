"""What training takes from a dataset: which images, in which order, a batch at a time. Knows nothing of Keras."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections import OrderedDict

import numpy as np

from lpe.pipeline.dataset import Dataset
from lpe.train import shards
from lpe.train.shards import Selection
from lpe.transforms.errors import DataError

CACHE_BYTES = 1 << 30
"""Memory for decoded images: a split that fits in is held, and shuffled as a whole."""
_WINDOWS = 4
"""Windows that share the memory where a split does not fit in."""


@dataclasses.dataclass
class EpochClock:
    """The epoch, from 0, whose order of images the training input takes next; set before each epoch."""

    epoch: int = 0


class Examples:
    """Batches of images uint8 [B, H, W, C] and labels int64 [B], by epoch and number.

    A large split is read in windows of some shards: shuffled by shards, and within each window. While one window is
    used, the next is read.

    Args:
      splits: epoch e takes the split e modulo their number; all have shards of the same lengths.
      selection: which examples of each.
      batch_size: where `drop_rest`, what does not fill a last batch is left out: other images each time.
      seed: of the orders; None for the order on disk.
      cache_bytes: memory for images. A split that fits in is one window, and stays there.
    """

    def __init__(
        self,
        dataset: Dataset,
        splits: tuple[str, ...],
        selection: Selection,
        batch_size: int,
        *,
        seed: int | None = None,
        drop_rest: bool = False,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._dataset = dataset
        self._splits = splits
        self._selection = selection
        self._counts = selection.counts()
        self._sizes = shards.shard_bytes(dataset, splits[0])
        whole = int(self._sizes.sum())
        fits = whole <= cache_bytes
        self._window_bytes = whole if fits else cache_bytes // _WINDOWS
        # Of whole splits as many as fit; of windows the two that a batch can touch, and the one to come.
        self._room = cache_bytes // max(1, whole) if fits else _WINDOWS - 1
        self._read: OrderedDict[tuple[str, tuple[int, ...]], concurrent.futures.Future[_Arrays]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()
        self._reader = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="lpe-shards")
        self._plans: dict[int, _Plan] = {}
        self._seed = seed
        self.batch_size = batch_size
        self.count = int(self._counts.sum())
        self.steps = self.count // batch_size if drop_rest else -(-self.count // batch_size)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch `number` of an epoch. Raises DataError for a damaged shard."""
        plan = self._plan(epoch)
        start = number * self.batch_size
        stop = min(start + self.batch_size, self.count)
        parts = []
        for w in range(*plan.span(start, stop)):
            images, labels = self._window(plan, w)
            rows = plan.order(w)[max(0, start - plan.starts[w]) : stop - plan.starts[w]]
            parts.append((images[rows], labels[rows]))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([images for images, _ in parts]), np.concatenate(
            [labels for _, labels in parts]
        )

    def _plan(self, epoch: int) -> _Plan:
        with self._lock:
            if epoch not in self._plans:
                self._plans = {epoch: self._new_plan(epoch)}
            return self._plans[epoch]

    def _new_plan(self, epoch: int) -> _Plan:
        split = self._splits[epoch % len(self._splits)]
        order = np.arange(len(self._sizes))
        random = None if self._seed is None else (self._seed, epoch)
        if random is not None:
            order = np.random.default_rng(random).permutation(order)
        groups = [tuple(sorted(g)) for g in shards.windows(self._sizes, order, self._window_bytes)]
        counts = [int(self._counts[list(group)].sum()) for group in groups]
        return _Plan(split, groups, np.cumsum([0, *counts]), random)

    def _window(self, plan: _Plan, w: int) -> _Arrays:
        with self._lock:
            wanted = self._start(plan, w)
            if w + 1 < len(plan.groups):
                self._start(plan, w + 1)
            while len(self._read) > self._room:
                self._read.popitem(last=False)
        return wanted.result()

    def _start(self, plan: _Plan, w: int) -> concurrent.futures.Future[_Arrays]:
        key = (plan.split, plan.groups[w])
        if key not in self._read:
            self._read[key] = self._reader.submit(shards.read_shards, self._dataset, *key, self._selection)
        self._read.move_to_end(key)
        return self._read[key]


_Arrays = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class _Plan:
    """An epoch: its split, the shards of each window, where each window starts, and what random orders follow from."""

    split: str
    groups: list[tuple[int, ...]]
    starts: np.ndarray
    random: tuple[int, int] | None
    _orders: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The windows, from and to, that hold the examples from `start` to `stop`."""
        first = int(np.searchsorted(self.starts, start, "right")) - 1
        return first, int(np.searchsorted(self.starts, stop, "left"))

    def order(self, w: int) -> np.ndarray:
        """The order of the examples of a window; only the latest few are kept, since there may be many."""
        if w not in self._orders:
            count = int(self.starts[w + 1] - self.starts[w])
            for old in [each for each in self._orders if each < w - 1]:
                del self._orders[old]
            self._orders[w] = (
                np.arange(count)
                if self.random is None
                else np.random.default_rng((*self.random, w)).permutation(count)
            )
        return self._orders[w]


@dataclasses.dataclass(frozen=True)
class TrainingInput:
    """What training needs of a dataset.

    Attributes:
      train: batches, all of one size, in an order that follows from the seed and the epoch alone.
      validation: batches in a fixed order.
      split, selection: the unaugmented images that are trained on.
    """

    train: Examples
    validation: Examples
    split: str
    selection: Selection


def training_input(
    dataset: Dataset,
    *,
    batch_size: int,
    seed: int,
    validation_fraction: float,
    images: int | None = None,
    cache_bytes: int = CACHE_BYTES,
) -> TrainingInput:
    """The splits `train` and `validation`; without the latter, `validation_fraction` of `train` is held out.

    Which images are held out depends on their positions alone. Where the owner added augmented copies of the training
    images, epochs take turns: the images as they are, the first copy, and so on. Validation images are never
    augmented, and no copy of them is trained on.

    Args:
      batch_size: where it exceeds the training images, batches have as many as there are.
      images: train on at most so many, evenly spread; None for all.
      cache_bytes: larger splits are streamed.

    Raises:
      DataError: no split `train`, or too few images.
    """
    if "train" not in dataset.splits:
        raise DataError(f"{dataset.directory}: no split 'train'; it has {', '.join(dataset.splits)}")
    lengths = dataset.splits["train"].shard_lengths
    has_validation = "validation" in dataset.splits and dataset.splits["validation"].examples > 0
    fraction = 0.0 if has_validation else validation_fraction
    selection = Selection(lengths, fraction, limit=images)
    count = int(selection.counts().sum())
    held_out = Selection(lengths, fraction, held_out=True)
    if count < 1 or (not has_validation and held_out.counts().sum() < 1):
        raise DataError(
            f"{dataset.directory}: {sum(lengths)} training images are too few to train and validate"
        )
    batch_size = min(batch_size, count)
    validation = (
        evaluation_input(dataset, "validation", batch_size)
        if has_validation
        else Examples(dataset, ("train",), held_out, batch_size, cache_bytes=cache_bytes)
    )
    train = Examples(
        dataset,
        ("train", *dataset.copies("train")),
        selection,
        batch_size,
        seed=seed,
        drop_rest=True,
        cache_bytes=cache_bytes,
    )
    return TrainingInput(train, validation, "train", selection)


def evaluation_input(
    dataset: Dataset, split: str, batch_size: int, cache_bytes: int = CACHE_BYTES
) -> Examples:
    """All images of a split, in a fixed order. Raises DataError for an unknown split."""
    dataset.shard_paths(split)
    everything = Selection(dataset.splits[split].shard_lengths)
    return Examples(dataset, (split,), everything, batch_size, cache_bytes=cache_bytes)
