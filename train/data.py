"""The images that training takes from a dataset, in which order, a batch at a time. Imports no Keras."""

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

_Arrays = tuple[np.ndarray, np.ndarray]
"""Images uint8 [N, H, W, C] and labels int64 [N]."""


@dataclasses.dataclass
class EpochClock:
    """The epoch, from 0, whose order of images the training input takes next; set before each epoch."""

    epoch: int = 0


class Examples:
    """Batches of images uint8 [B, H, W, C] and labels int64 [B], by epoch and number.

    A large split is read in windows of some shards: shuffled by shards, and within each window. While one window is
    used, the next is read, by a thread of this object's own.

    Which examples a batch has depends on the arguments here, the epoch and the number alone, not on earlier calls.
    Threads may share an object. The dataset must not change while it is used.

    Args:
      dataset: an open dataset on this machine, with images of one shape.
      splits: epoch e takes the split e modulo their number; all have shards of the same lengths.
      selection: which examples of each.
      batch_size: examples in a batch; the last one of an epoch may have fewer.
      seed: of the orders; None for the order on disk.
      drop_rest: leaves out the examples that do not fill a last batch: other ones each epoch.
      cache_bytes: memory for images. A split that fits in is one window, and stays there.

    Attributes:
      batch_size: as given.
      count: examples that are selected.
      steps: batches in an epoch.
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
        self._windows: OrderedDict[tuple[str, tuple[int, ...]], concurrent.futures.Future[_Arrays]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()  # of the windows and the order
        self._reader = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="lpe-shards")
        self._latest: tuple[int, _EpochOrder] | None = None
        self._seed = seed
        self.batch_size = batch_size
        self.count = int(self._counts.sum())
        self.steps = self.count // batch_size if drop_rest else -(-self.count // batch_size)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch of an epoch: images uint8 [B, H, W, C] and labels int64 [B], copies that the caller may change.

        Args:
          epoch: from 0.
          number: 0..steps - 1.

        Raises:
          DataError: a shard is missing or damaged, by name.
        """
        order = self._order(epoch)
        start = number * self.batch_size
        stop = min(start + self.batch_size, self.count)
        parts = []
        for window in range(*order.span(start, stop)):
            images, labels = self._read(order, window)
            first = order.starts[window]
            with self._lock:
                rows = order.within(window)[max(0, start - first) : stop - first]
            parts.append((images[rows], labels[rows]))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([images for images, _ in parts]), np.concatenate(
            [labels for _, labels in parts]
        )

    def _order(self, epoch: int) -> _EpochOrder:
        with self._lock:
            if self._latest is None or self._latest[0] != epoch:
                self._latest = (epoch, self._new_order(epoch))
            return self._latest[1]

    def _new_order(self, epoch: int) -> _EpochOrder:
        split = self._splits[epoch % len(self._splits)]
        order = np.arange(len(self._sizes))
        seed = None if self._seed is None else (self._seed, epoch)
        if seed is not None:
            order = np.random.default_rng(seed).permutation(order)
        windows = [tuple(sorted(w)) for w in shards.windows(self._sizes, order, self._window_bytes)]
        counts = [int(self._counts[list(window)].sum()) for window in windows]
        return _EpochOrder(split, windows, np.cumsum([0, *counts]), seed)

    def _read(self, order: _EpochOrder, window: int) -> _Arrays:
        """The examples of a window, as on disk; the next one is read meanwhile."""
        with self._lock:
            wanted = self._start_reading(order, window)
            if window + 1 < len(order.windows):
                self._start_reading(order, window + 1)
            while len(self._windows) > self._room:
                self._windows.popitem(last=False)
        return wanted.result()

    def _start_reading(self, order: _EpochOrder, window: int) -> concurrent.futures.Future[_Arrays]:
        key = (order.split, order.windows[window])
        if key not in self._windows:
            self._windows[key] = self._reader.submit(shards.read_shards, self._dataset, *key, self._selection)
        self._windows.move_to_end(key)
        return self._windows[key]


@dataclasses.dataclass(frozen=True)
class _EpochOrder:
    """The order of the examples in an epoch. For one thread at a time.

    Attributes:
      split: which it takes.
      windows: the shards of each window.
      starts: where each window starts among the epoch's examples, and where the last one ends: int64 [windows + 1].
      seed: what the orders within windows follow from; None for the order on disk.
    """

    split: str
    windows: list[tuple[int, ...]]
    starts: np.ndarray
    seed: tuple[int, int] | None
    _within: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The windows, from and to, that hold the examples from `start` to `stop`."""
        first = int(np.searchsorted(self.starts, start, "right")) - 1
        return first, int(np.searchsorted(self.starts, stop, "left"))

    def within(self, window: int) -> np.ndarray:
        """The order of a window's examples, int64; only the latest few are kept, since there may be many."""
        if window not in self._within:
            count = int(self.starts[window + 1] - self.starts[window])
            for old in [w for w in self._within if w < window - 1]:
                del self._within[old]
            self._within[window] = (
                np.arange(count)
                if self.seed is None
                else np.random.default_rng((*self.seed, window)).permutation(count)
            )
        return self._within[window]


@dataclasses.dataclass(frozen=True)
class TrainingInput:
    """The images of a dataset that a network is trained and validated on.

    Attributes:
      train: batches, all of one size, in an order that follows from the seed and the epoch alone.
      validation: batches in a fixed order.
      split: of the images that are trained on, the augmented copies left out.
      selection: which images of that split.
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
      dataset: an open dataset on this machine.
      batch_size: where it exceeds the training images, batches have as many as there are.
      seed: of the order of the training images.
      validation_fraction: 0..1.
      images: train on at most so many, evenly spread; None for all.
      cache_bytes: memory for the images of each input; larger splits are streamed.

    Raises:
      DataError: no split `train`, or too few images.
    """
    if "train" not in dataset.splits:
        raise DataError(f"{dataset.directory}: no split 'train'; it has {', '.join(dataset.splits)}")
    shards.check_lengths(dataset, "train")
    lengths = dataset.splits["train"].shard_lengths
    for copy in dataset.copies("train"):
        shards.check_lengths(dataset, copy)
        if dataset.splits[copy].shard_lengths != lengths:
            raise DataError(
                f"{dataset.directory}: split {copy} has shards of other lengths than 'train', which it is a copy of; "
                "write the dataset again"
            )
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
    """All images of a split, in the order on disk.

    Args:
      dataset: an open dataset on this machine.
      split: its name.
      batch_size: images in a batch; the last one may have fewer.
      cache_bytes: memory for the images; a larger split is streamed.

    Raises:
      DataError: no such split, or images that are sealed, on another machine or of several shapes.
    """
    shards.check_lengths(dataset, split)
    everything = Selection(dataset.splits[split].shard_lengths)
    return Examples(dataset, (split,), everything, batch_size, cache_bytes=cache_bytes)
