"""The images of a source that a dataset does not hold yet, as a plan.

What is there already is told by the content of files, where the source has files and the dataset recorded their
digests: nothing is decoded. With `--digest names-and-sizes` a name that is there counts as the same image, and no file
is read. Otherwise the pixels are compared, for which all images of both are read once, where the job starts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from lpe.pipeline.dataset.numbers import neutral_id
from lpe.pipeline.dataset.reader import BATCH_SIZE, Reader
from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord, fail
from lpe.pipeline.sources import split_uri
from lpe.pipeline.sources.base import DIGEST_BYTES, Source
from lpe.pipeline.sources.plan import (
    RECORD_BYTES,
    Plan,
    ReadSpec,
    arranged_source,
    check_options,
    open_plan,
    plan_tasks,
)
from lpe.pipeline.sources.splits import cut, shard_bounds
from lpe.pipeline.sources.task import ShardTask, SliceReader
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError

_READ_AGAIN = "restore the file from a copy or write the dataset again"


@dataclasses.dataclass(frozen=True)
class Held:
    """The images that a dataset holds.

    Attributes:
      class_names: its true ones; class i is called class_names[i].
      file_digests: `file_digest` of every image's file, uint8 [N, 16]; None where those of some are not known.
      names: the original names of all; None where they are not known.
      tasks: read its images.
      restore: makes plain images of them.
      reduce: what was done to plain images before; by default nothing.
    """

    class_names: tuple[str, ...]
    file_digests: np.ndarray | None
    names: Sequence[str] | None
    tasks: Sequence[ShardTask]
    restore: Callable[[ImageBatch], ImageBatch]
    reduce: Callable[[np.ndarray], np.ndarray] = lambda images: images


@dataclasses.dataclass(frozen=True)
class Additions:
    """The images that are new.

    Attributes:
      plan: makes the plan that reads them, of the number after those that each split has given already; its tasks are
        numbered from 0 in each split.
      images: how many there are.
      known: how many images of the source are left out since the dataset holds them.
      repeated: how many are left out since they are in the source twice.
      compared: `files`, `names` or `pixels`: what was compared.
      chosen: SHA-256 (hex) that tells this choice of images, and their order, from others of the same source.
    """

    plan: Callable[[Mapping[str, int]], Plan]
    images: int
    known: int
    repeated: int
    compared: str
    chosen: str

    def notes(self) -> tuple[str, ...]:
        """What its user should know."""
        by = {"files": "the content of their files", "names": "their names alone", "pixels": "their pixels"}[
            self.compared
        ]
        notes = []
        if self.known:
            notes.append(f"{_images(self.known)} there already (by {by}) and left out")
        if self.repeated:
            notes.append(f"{_images(self.repeated)} in the source twice (by {by}); the first is kept")
        return tuple(notes)


def _images(count: int) -> str:
    return f"{count:,} image is" if count == 1 else f"{count:,} images are"


@contextlib.contextmanager
def open_additions(
    spec: ReadSpec, held: Held, order: Callable[[str], bytes] | None = None
) -> Iterator[Additions]:
    """Opens a source and finds what is new; its plan's tasks can be read while the block lasts.

    Args:
      spec: what to read.
      held: what is there.
      order: see `open_plan`.

    Raises:
      UsageError, DataError: as `open_plan`, and where a source of whole shards is damaged.
    """
    if split_uri(spec.source)[0] == "dataset":
        with open_plan(spec) as plan:
            plan.require_plain("decrypt it first")
            yield _of_dataset(plan, held)
        return
    check_options(spec)
    with arranged_source(spec, order) as (source, content):
        yield _of_source(source, spec, content, held)


@dataclasses.dataclass(frozen=True)
class _Choice:
    """Which images are new, by split, bool [N]; how many are not."""

    new: Mapping[str, np.ndarray]
    known: int
    repeated: int

    @property
    def images(self) -> int:
        return sum(int(new.sum()) for new in self.new.values())

    def digest(self) -> str:
        positions = [[split, np.flatnonzero(new).tolist()] for split, new in self.new.items()]
        return hashlib.sha256(json.dumps(positions).encode()).hexdigest()


def _choose(digests: Mapping[str, np.ndarray], held: np.ndarray) -> _Choice:
    """Of all images with their digests, uint8 [N, 16] by split, those that are not held, each once."""
    rows = _rows(np.concatenate([np.zeros((0, DIGEST_BYTES), np.uint8), *digests.values()]))
    known = np.isin(rows, _rows(held))
    first = np.zeros(len(rows), bool)
    first[np.unique(rows, return_index=True)[1]] = True
    new = ~known & first
    ends = np.cumsum([len(part) for part in digests.values()])
    parts = np.split(new, ends[:-1])
    return _Choice(dict(zip(digests, parts, strict=True)), int(known.sum()), int((~known & ~first).sum()))


def _rows(digests: np.ndarray) -> np.ndarray:
    """One value for each digest: texts of equal length, that compare as bytes do."""
    return np.ascontiguousarray(digests).view(f"S{DIGEST_BYTES}").ravel()


def pixel_digests(batch: ImageBatch) -> bytes:
    """A digest of shape and pixels of each image of a batch, one after the other."""
    shape = ",".join(map(str, batch.images.shape[1:])).encode() + b"\0"
    return b"".join(
        hashlib.sha256(shape + np.ascontiguousarray(image).tobytes()).digest()[:DIGEST_BYTES]
        for image in batch.images
    )


def _held_pixels(held: Held) -> np.ndarray:
    batches = (batch for task in held.tasks for batch in task.reader.batches(fail(_READ_AGAIN)) if len(batch))
    return _as_rows(pixel_digests(held.restore(batch)) for batch in batches)


def _as_rows(digests: Iterable[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES)


def _of_source(source: Source, spec: ReadSpec, content: str, held: Held) -> Additions:
    info = source.info
    compared, choice = _compare(source, spec, held)
    positions = {split: np.flatnonzero(new) for split, new in choice.new.items()}
    parts = cut({split: len(chosen) for split, chosen in positions.items()}, spec.validation_fraction)
    relabel = _mapping(info.class_names, held.class_names)

    def plan(first: Mapping[str, int]) -> Plan:
        tasks = []
        for split, part in parts.items():
            bounds = shard_bounds(len(part), info.bytes_per_image + RECORD_BYTES)
            for i, (start, stop) in enumerate(bounds):
                within = np.asarray(part.positions(start, stop))
                images = source.slice(part.source_split, positions[part.source_split][within])
                reader = SliceReader(images, split, first.get(split, 0) + start, spec.keep_ids)
                tasks.append(ShardTask(split, i, len(bounds), _relabelled(reader, relabel)))
        numbers = {split: first.get(split, 0) + len(part) for split, part in parts.items()}
        return plan_tasks(source, spec, content, tasks, {} if spec.keep_ids else numbers)

    return Additions(plan, choice.images, choice.known, choice.repeated, compared, choice.digest())


def _compare(source: Source, spec: ReadSpec, held: Held) -> tuple[str, _Choice]:
    """What is new in a source, and by which comparison: the cheapest for which both sides know enough."""
    splits = source.info.splits
    if spec.options.digest == "names-and-sizes" and held.names is not None:
        named = {split: source.names(split) or [] for split in splits}
        digests = {split: _as_rows(map(_name_digest, names)) for split, names in named.items()}
        return "names", _choose(digests, _as_rows(map(_name_digest, held.names)))
    if held.file_digests is not None:
        files = {split: source.content_digests(split) for split in splits}
        known = {split: digests for split, digests in files.items() if digests is not None}
        if len(known) == len(files):
            return "files", _choose(known, held.file_digests)
    pixels = {split: _source_pixels(source, split, size, held) for split, size in splits.items()}
    return "pixels", _choose(pixels, _held_pixels(held))


def _name_digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:DIGEST_BYTES]


def _source_pixels(source: Source, split: str, size: int, held: Held) -> np.ndarray:
    """Digests of all images of a source's split, reduced as those held; random ones of those that cannot be read."""
    digests = np.random.default_rng().integers(0, 256, (size, DIGEST_BYTES), np.uint8)
    for batch in source.slice(split, np.arange(size)).batches(BATCH_SIZE, _pass_over):
        reduced = ImageBatch(batch.names, held.reduce(batch.images), batch.labels)
        digests[batch.offsets] = _as_rows([pixel_digests(reduced)])
    return digests


def _pass_over(record: BadRecord) -> None:
    """Leaves a bad record to the job, which reads it again."""


def _of_dataset(plan: Plan, held: Held) -> Additions:
    by_split: dict[str, list[bytes]] = {}
    for task in plan.tasks:
        parts = by_split.setdefault(task.split, [])
        parts += [pixel_digests(batch) for batch in task.reader.batches(fail(_READ_AGAIN))]
    choice = _choose({split: _as_rows(parts) for split, parts in by_split.items()}, _held_pixels(held))
    relabel = _mapping(plan.class_names, held.class_names)

    def selected(first: Mapping[str, int]) -> Plan:
        tasks = []
        numbers = dict(first)
        for split, new in choice.new.items():
            at, readers = 0, []
            for task in (task for task in plan.tasks if task.split == split):
                chosen = new[at : at + task.reader.expected()]
                at += len(chosen)
                if chosen.any():
                    number = numbers.get(split, 0)
                    readers.append(SelectedReader(task.reader, np.packbits(chosen).tobytes(), split, number))
                    numbers[split] = number + int(chosen.sum())
            tasks += [
                ShardTask(split, i, len(readers), _relabelled(reader, relabel))
                for i, reader in enumerate(readers)
            ]
        return dataclasses.replace(plan, tasks=tuple(tasks), dataset=None, numbers=numbers)

    return Additions(selected, choice.images, choice.known, choice.repeated, "pixels", choice.digest())


@dataclasses.dataclass(frozen=True)
class SelectedReader:
    """The reader of some of another one's images, under new neutral ids; those before are their original names.

    Attributes:
      reader: reads all of them, none of which may be bad.
      chosen: a bit for each, in order, as `numpy.packbits` has them.
      split: the output split.
      first: the number of the first chosen one.
    """

    reader: Reader
    chosen: bytes
    split: str
    first: int

    def _chosen(self) -> np.ndarray:
        return np.unpackbits(np.frombuffer(self.chosen, np.uint8), count=self.reader.expected()).astype(bool)

    def expected(self) -> int:
        """See `Reader`."""
        return int(self._chosen().sum())

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        """See `Reader`; an image that cannot be read raises DataError: it could when the choice was made."""
        chosen, at, number = self._chosen(), 0, self.first
        for batch in self.reader.batches(fail(_READ_AGAIN)):
            mask = chosen[at : at + len(batch)]
            at += len(batch)
            if mask.any():
                images, labels = batch.images[mask], batch.labels[mask]
                ids = [neutral_id(self.split, number + i) for i in range(len(images))]
                origins = [batch.ids[i] for i in np.flatnonzero(mask)]
                yield ImageBatch(ids, images, labels, origins)
                number += len(images)


@dataclasses.dataclass(frozen=True)
class RelabelledReader:
    """The reader of another one's images, with the numbers that a dataset has for their classes.

    Attributes:
      reader: reads them; class i of it is class numbers[i].
      numbers: by class.
    """

    reader: Reader
    numbers: tuple[int, ...]

    def expected(self) -> int:
        """See `Reader`."""
        return self.reader.expected()

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        """See `Reader`."""
        numbers = np.array(self.numbers, np.int64)
        for batch in self.reader.batches(on_bad_record):
            yield dataclasses.replace(batch, labels=numbers[batch.labels])


def with_new_classes(source: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The known class names, and after them, sorted, those that only the source has."""
    return (*known, *sorted({*source} - {*known}))


def _mapping(source: Sequence[str], known: Sequence[str]) -> tuple[int, ...]:
    """The number that each class of a source has in the dataset, new ones at the end."""
    numbers = {name: i for i, name in enumerate(with_new_classes(source, known))}
    return tuple(numbers[name] for name in source)


def relabelled(plan: Plan, known: Sequence[str]) -> Plan:
    """The plan with labels as in a dataset with these class names."""
    numbers = _mapping(plan.class_names, known)
    tasks = tuple(dataclasses.replace(task, reader=_relabelled(task.reader, numbers)) for task in plan.tasks)
    return dataclasses.replace(plan, tasks=tasks)


def _relabelled(reader: Reader, numbers: tuple[int, ...]) -> Reader:
    return reader if numbers == tuple(range(len(numbers))) else RelabelledReader(reader, numbers)


def check_classes(source: Sequence[str], known: Sequence[str], where: str, *, add: bool) -> tuple[str, ...]:
    """The class names of a dataset that images of a source are added to.

    Args:
      source: the class names of the source.
      known: those of the dataset.
      where: the source, for the message.
      add: whether new ones may be added.

    Raises:
      DataError: there are new ones, and they may not.
    """
    names = with_new_classes(source, known)
    new = names[len(known) :]
    if new and not add:
        shown = ", ".join(map(ascii, new[:10])) + (f" and {len(new) - 10} more" if len(new) > 10 else "")
        raise DataError(
            f"{where}: {'a class that is' if len(new) == 1 else 'classes that are'} not in the dataset: {shown}; "
            "rename what was misspelt, or pass --add-labels"
        )
    return names
