"""Plans: opened inputs, each with its description, its digest and one task per shard."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from lpe.pipeline.dataset import Dataset, open_dataset
from lpe.pipeline.dataset.reader import ShardReader
from lpe.pipeline.records import FileFormat, RecordFormat
from lpe.pipeline.seal.opening import SealOpener, seal_opener
from lpe.pipeline.sources import KEYED, open_source, split_uri
from lpe.pipeline.sources.base import ReadOptions, Source
from lpe.pipeline.sources.carried import CarriedShard
from lpe.pipeline.sources.imagefile import DECODER
from lpe.pipeline.sources.opened import OpenedReader
from lpe.pipeline.sources.splits import cut, parse_fraction, shard_bounds
from lpe.pipeline.sources.task import ShardTask, SliceReader
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.labels import unkeyed_order

RECORD_BYTES = 100
"""Bytes of a record besides its image, at most, unless names are kept as ids."""


@dataclasses.dataclass(frozen=True)
class ReadSpec:
    """The input of a job as its user names it.

    Attributes:
      source: a source URI.
      options: how image files become arrays.
      validation_fraction: cut a validation split from train, e.g. "0.1"; a decimal, so that it is exact.
      keep_ids: use original names as ids instead of neutral ones.
      data_key: the path of the data key that opens a sealed dataset, in memory; None: it is read as it is stored.
    """

    source: str
    options: ReadOptions = dataclasses.field(default_factory=ReadOptions)
    validation_fraction: str | None = None
    keep_ids: bool = False
    data_key: str | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """An opened input.

    Attributes:
      source: its URI.
      name: a name for the dataset.
      class_names: class i is called class_names[i].
      image_shape: (H, W, C), or None where shapes differ.
      channels: 1 or 3, or what image_shape says.
      tasks: one per shard, split after split.
      digest: SHA-256 (hex) of the source's content; empty if it was not asked for.
      origin: digest of the source where the images came from in the beginning.
      dataset: the dataset that is read, if it is one.
      temporary: whether the tasks read temporary files of this machine.
      opened: whether the tasks open the dataset's seal.
      notes: what its user should know, see `SourceInfo`.
      reading: what decided which pixels image files became; None for a dataset that does not say.
      numbers: of each split, the number after those given to its images as ids, where that is known.
      shape_read: (H, W, C) of the images as they are read, where they are reduced to `image_shape` then; else None.
    """

    source: str
    name: str
    class_names: tuple[str, ...]
    image_shape: ImageShape | None
    channels: int
    tasks: tuple[ShardTask, ...]
    digest: str
    origin: str
    dataset: Dataset | None
    temporary: bool = False
    opened: bool = False
    notes: tuple[str, ...] = ()
    reading: Mapping[str, Any] | None = None
    numbers: Mapping[str, int] = dataclasses.field(default_factory=dict)
    shape_read: ImageShape | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of its splits, in order."""
        return tuple(dict.fromkeys(task.split for task in self.tasks))

    @property
    def examples(self) -> int:
        """Examples of all tasks, bad ones included."""
        return sum(task.reader.expected() for task in self.tasks)

    @property
    def bytes(self) -> int:
        """Bytes of all images that are read, those of carried shards left out; 0 where shapes differ."""
        shape = self.shape_read or self.image_shape
        if shape is None:
            return 0
        read = (task.reader for task in self.tasks if not isinstance(task.reader, CarriedShard))
        return sum(reader.expected() for reader in read) * math.prod(shape)

    def output_format(self, file_format: FileFormat) -> RecordFormat:
        """The format to store its images in: raw bytes where all have one shape, PNG otherwise.

        Args:
          file_format: the kind of file.
        """
        encoding: Literal["png", "raw"] = "png" if self.image_shape is None else "raw"
        return RecordFormat(self.image_shape, encoding, self.channels, file_format=file_format)

    def require_plain(self, remedy: str) -> None:
        """Refuses ciphertext.

        Args:
          remedy: what to do instead.

        Raises:
          DataError: the input is an encrypted dataset, or a sealed one that is not opened.
        """
        encryption = self.dataset.encryption if self.dataset is not None else None
        if encryption is not None and not (self.opened and encryption["cipher"] == "plain"):
            raise DataError(f"{self.source}: this dataset is encrypted already; {remedy}")


def check_options(spec: ReadSpec) -> None:
    """Raises UsageError for options that do not go with any source of that kind, before it is opened."""
    if spec.validation_fraction is not None:
        parse_fraction(spec.validation_fraction)
    if spec.data_key is not None and split_uri(spec.source)[0] != "dataset":
        raise UsageError(f"{spec.source}: not a sealed dataset; leave out the data key {spec.data_key}")
    for option, given in (("--labels", spec.options.labels), ("--digest", spec.options.digest != "contents")):
        if given and split_uri(spec.source)[0] != "folder":
            raise UsageError(f"{spec.source}: {option} goes with folder: alone; leave it out")
    as_it_is = spec.options == ReadOptions() and not spec.keep_ids and spec.validation_fraction is None
    if split_uri(spec.source)[0] == "dataset" and not as_it_is:
        raise UsageError(
            f"{spec.source}: a dataset is read as it is; image size, limits, ids and the validation split are "
            "decided when it is ingested"
        )
    keyed = spec.options.image_key is not None or spec.options.label_key is not None
    if keyed and split_uri(spec.source)[0] not in KEYED:
        raise UsageError(
            f"{spec.source}: --image-key and --label-key go with {', '.join(f'{kind}:' for kind in KEYED)}, whose "
            "examples have features by name"
        )


def check_scope(spec: ReadSpec, scope: str) -> None:
    """Raises UsageError if images could meet keys of their own that other images have met before."""
    if scope == "image" and spec.options.digest != "contents":
        raise UsageError(
            "--scope image needs --digest contents: each image's key is made from the digest, and other images of the "
            "same names and sizes would meet the same keys"
        )


@contextlib.contextmanager
def open_plan(
    spec: ReadSpec, order: Callable[[str], bytes] | None = None, *, digest: bool = True
) -> Iterator[Plan]:
    """Opens and plans an input; its tasks can be read while the block lasts.

    Args:
      spec: what to read.
      order: makes the secret by which images without an order of their own are put in order, from the source's digest;
        None for an order that whoever has all images can tell.
      digest: whether to compute the digest of a source, which may take reading all that is there.

    Raises:
      UsageError: an option does not go with the source.
      DataError: the kind of source is unknown, or it is missing, damaged or empty.
      KeyStoreError: the data key is missing, may be read by others, or is another dataset's.
    """
    kind, place = split_uri(spec.source)
    check_options(spec)
    if kind == "dataset":
        data = open_dataset(place)
        opener = seal_opener(data, spec.data_key) if spec.data_key is not None else None
        yield dataclasses.replace(plan_dataset(data, opener), source=spec.source)
        return
    with arranged_source(spec, order, digest=digest) as (source, content):
        yield _plan_source(source, spec, content)


@contextlib.contextmanager
def arranged_source(
    spec: ReadSpec, order: Callable[[str], bytes] | None = None, *, digest: bool = True
) -> Iterator[tuple[Source, str]]:
    """Opens a source and puts it in order; yields it and its digest. Arguments and errors are those of `open_plan`."""
    with open_source(spec.source, spec.options) as source:
        content = source.digest() if digest else ""
        source.arrange(
            order(content) if order is not None else hashlib.sha256(unkeyed_order(content)).digest()
        )
        yield source, content


def plan_dataset(data: Dataset, opener: SealOpener | None = None) -> Plan:
    """The plan that reads a dataset, with a task for each of its shards.

    Args:
      data: the dataset.
      opener: opens its seal; None to read it as it is stored.

    Raises:
      DataError: it is empty.
    """
    tasks = []
    for split, info in data.splits.items():
        recorded = data.shards(split)
        paths = data.shard_paths(split)
        for i, (path, examples) in enumerate(zip(paths, info.shard_lengths, strict=True)):
            reader = ShardReader(
                path,
                data.format,
                examples,
                len(data.class_names),
                recorded[i] if recorded else None,
                authenticated=data.authenticated,
            )
            opened = reader if opener is None else OpenedReader(reader, opener)
            tasks.append(ShardTask(split, i, len(paths), opened))
    if not any(task.reader.expected() for task in tasks):
        raise DataError(f"{data.directory}: this dataset is empty")
    return Plan(
        source=f"dataset:{data.directory}",
        name=data.name,
        class_names=data.class_names,
        image_shape=data.image_shape,
        channels=data.format.channels if data.image_shape is None else data.image_shape[2],
        tasks=tuple(tasks),
        digest=data.digest(),
        origin=data.origin,
        dataset=data,
        opened=opener is not None,
        reading=data.reading,
        numbers={split: number for split, number in data.numbers.items() if number is not None},
    )


def _plan_source(source: Source, spec: ReadSpec, digest: str) -> Plan:
    info = source.info
    tasks, numbers = [], {}
    for split, part in cut(info.splits, spec.validation_fraction).items():
        numbers[split] = len(part)
        bounds = shard_bounds(len(part), info.bytes_per_image + RECORD_BYTES)
        for i, (start, stop) in enumerate(bounds):
            images = source.slice(part.source_split, part.positions(start, stop))
            reader = SliceReader(images, split, start, spec.keep_ids)
            tasks.append(ShardTask(split, i, len(bounds), reader))
    if not tasks:
        raise DataError(f"{spec.source}: no images there; check the path")
    return plan_tasks(source, spec, digest, tasks, {} if spec.keep_ids else numbers)


def plan_tasks(
    source: Source, spec: ReadSpec, digest: str, tasks: Sequence[ShardTask], numbers: Mapping[str, int]
) -> Plan:
    """The plan of these tasks, which read a source."""
    info = source.info
    channels = spec.options.channels if info.image_shape is None else info.image_shape[2]
    return Plan(
        source=spec.source,
        name=info.name,
        class_names=info.class_names,
        image_shape=info.image_shape,
        channels=channels,
        tasks=tuple(tasks),
        digest=digest,
        origin=digest,
        dataset=None,
        temporary=source.temporary,
        notes=info.notes,
        reading={**spec.options.pixel_settings(), "decoder": DECODER},
        numbers=numbers,
    )
