"""The parts that both appending jobs share: what the new version takes over of the one before, and what must fit."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset, layout, open_dataset
from lpe.pipeline.dataset.predecessor import Predecessor
from lpe.pipeline.dataset.writer import hold_home
from lpe.pipeline.jobs.spec import JobResult, JobSpec
from lpe.pipeline.jobs.write import NOTHING_NEW, read_settings
from lpe.pipeline.sources import augmented
from lpe.pipeline.sources.additions import Additions
from lpe.pipeline.sources.base import DIGEST_BYTES
from lpe.pipeline.sources.carried import CarriedShard
from lpe.pipeline.sources.plan import Plan, plan_dataset
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.image_shape import ImageShape

if TYPE_CHECKING:
    import pyarrow as pa

_DECODER = "decoder"


@contextlib.contextmanager
def held_dataset(spec: JobSpec) -> Iterator[Dataset]:
    """Holds a home, and opens the newest version there, to which a job appends.

    Raises:
      UsageError: another kind of files was asked for than the dataset has.
      DataError: there is no dataset, or none of lpe's that ids can be continued of.
      BusyError: another job writes at the home.
    """
    home = spec.home.rstrip("/")
    if storage.exists(storage.join(home, layout.INFO_FILE)):
        raise DataError(f"{home}: this is a version of a dataset; name its home, ROOT/NAME, as --output")
    open_dataset(home)  # before anything is made there
    with hold_home(home):
        dataset = open_dataset(home)
        Predecessor.of(dataset)
        kind = dataset.format.file_format
        if spec.file_format not in (None, kind):
            raise UsageError(
                f"--format {spec.file_format}: {dataset.directory} has {kind} files; leave it out"
            )
        yield dataset


def appended_plan(dataset: Dataset, new: Plan) -> Plan:
    """The plan of a version: all shards of the one before, as they are, and those that read new images.

    Args:
      dataset: the version before.
      new: the new images, plain, with labels as in the dataset; its shards are numbered from 0.
    """
    missing = set(dataset.copies(augmented.SPLIT)) - {*new.splits}
    if dataset.augmentation is not None and missing and augmented.SPLIT in new.splits:
        new = augmented.with_copies(new, augmented.from_json(dataset.augmentation))
    carried = plan_dataset(dataset).tasks
    tasks: list[ShardTask] = []
    for split in dict.fromkeys([*dataset.splits, *new.splits]):
        before = [task for task in carried if task.split == split]
        added = [task for task in new.tasks if task.split == split]
        count = len(before) + len(added)
        recorded = dataset.shards(split) if before else ()
        assert recorded is not None  # a version with a predecessor has a manifest
        for task, shard in zip(before, recorded, strict=True):
            path = dataset.shard_path(split, task.index)
            tasks.append(ShardTask(split, task.index, count, CarriedShard(path, shard, task.reader)))
        tasks += [ShardTask(split, len(before) + task.index, count, task.reader) for task in added]
    return dataclasses.replace(new, tasks=tuple(tasks), dataset=None, reading=_reading(dataset, new))


def check_fits(dataset: Dataset, new: Plan, shape: ImageShape | None) -> None:
    """Refuses images that are not as those that the dataset was made of.

    Args:
      dataset: the dataset.
      new: the images.
      shape: (H, W, C) of the images that it was made of, before they were reduced; None where shapes differ.

    Raises:
      DataError: their shape, or a setting of their reading, is another.
    """
    channels = dataset.format.channels if shape is None else shape[2]
    if shape != new.image_shape or channels != new.channels:
        raise DataError(
            f"{new.source}: its images are {_shape(new.image_shape, new.channels)}, those of {dataset.directory} "
            f"{_shape(shape, channels)}; read them with the same --image-size"
        )
    ours, theirs = _settings(dataset.reading), _settings(new.reading)
    if ours is None or theirs is None:
        return
    for name in sorted({*ours, *theirs} - {_DECODER}):
        if ours.get(name) != theirs.get(name):
            raise DataError(
                f"{new.source}: read with {name} {theirs.get(name)}, and {dataset.directory} with {ours.get(name)}; "
                "read it in the same way"
            )


def check_kept_ids(dataset: Dataset, *, keep_ids: bool) -> None:
    """Raises UsageError unless ids are original names in both the dataset and what is added, or in neither."""
    names = any(number is None for number in dataset.numbers.values())
    if names != keep_ids:
        kind = "original names; pass --keep-ids too" if names else "neutral; leave out --keep-ids"
        raise UsageError(f"{dataset.directory}: its ids are {kind}")


def decoder_note(dataset: Dataset, new: Plan) -> tuple[str, ...]:
    """A line where another decoder reads the new images than has read those before."""
    before, now = ((_settings(plan.reading) or {}).get(_DECODER) for plan in (dataset, new))
    if before is None or now is None or now in before.split(", "):
        return ()
    return (
        f"the new images are read by {now}, those before were by {before}: pixels of JPEGs may differ by a little",
    )


def append_settings(
    spec: JobSpec, dataset: Dataset, additions: Additions | None, new: Plan
) -> dict[str, Any]:
    """The settings of an appending job that are part of its identity: what it is made onto, and all that is chosen."""
    assert dataset.manifest is not None
    return {
        "command": "append",
        "onto": [dataset.version, dataset.manifest.job, dataset.digest()],
        "keep_ids": spec.read.keep_ids,
        "reading": _settings(new.reading),
        "chosen": None if additions is None else [additions.compared, additions.chosen],
        **read_settings(spec.read),
    }


def image_tasks(dataset: Dataset) -> tuple[ShardTask, ...]:
    """The shards of a dataset but for those of augmented copies."""
    copies = dataset.copy_splits
    return tuple(task for task in plan_dataset(dataset).tasks if task.split not in copies)


def chained(before: str, added: str) -> str:
    """What stands for a source that was added to: SHA-256 (hex) over the digests of both parts."""
    return hashlib.sha256(f"{before}\n{added}".encode()).hexdigest()


def kept_by(dataset: Dataset) -> dict[str, Any]:
    """What a version's manifest takes over of the one before."""
    taken: dict[str, Any] = {"appended_to": dataset.version}
    if dataset.augmentation is not None:
        taken["augmentation"] = dict(dataset.augmentation)
    return taken


def nothing_new(
    dataset: Dataset, additions: Additions | None, notes: Sequence[str], seconds: float
) -> JobResult:
    """The result of a job that found no new image."""
    lines = (*notes, NOTHING_NEW)
    return JobResult(dataset, skipped=True, seconds=seconds, notes=lines, left_out=left_out(additions))


def left_out(additions: Additions | None) -> Mapping[str, int]:
    """How many images of the source were not added, and why."""
    if additions is None:
        return {"known": 0, "repeated": 0}
    return {"known": additions.known, "repeated": additions.repeated}


def _reading(dataset: Dataset, new: Plan) -> Mapping[str, Any] | None:
    """What decided the pixels of all images; several decoders are named all."""
    before, now = _settings(dataset.reading), _settings(new.reading)
    if before is None or now is None or _DECODER not in before or _DECODER not in now:
        return before or now
    decoders = dict.fromkeys([*before[_DECODER].split(", "), *now[_DECODER].split(", ")])
    return {**before, _DECODER: ", ".join(decoders)}


def _settings(reading: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Settings as they are read again: JSON has no tuples."""
    return None if reading is None else json.loads(json.dumps(reading))


def _shape(shape: Sequence[int] | None, channels: int) -> str:
    return f"of many sizes with {channels} channels" if shape is None else "x".join(map(str, shape))


def file_digests(id_map: pa.Table | None, images: int) -> np.ndarray | None:
    """The digests of the files of all images of a dataset; None where those of some were not recorded."""
    if id_map is None or id_map.num_rows < images or id_map["digest"].null_count:
        return None
    digests = b"".join(id_map["digest"].to_pylist())
    return np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)


def names(id_map: pa.Table | None, images: int) -> list[str] | None:
    """The original names of all images of a dataset; None where they were not recorded."""
    return None if id_map is None or id_map.num_rows < images else id_map["name"].to_pylist()
