"""The execution of a job, here and by Beam: every shard once, failures as one error, progress while it runs."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.engine import execution, local, runners
from lpe.pipeline.engine.failures import JobFailedError, ShardsFailedError, fail_if_any, failure_in
from lpe.pipeline.engine.watch import Watch
from lpe.pipeline.engine.worker import Worker
from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, KeyStoreError


@dataclasses.dataclass(frozen=True)
class Blank:
    """A reader of black images."""

    images: int

    def expected(self) -> int:
        return self.images

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        ids = [f"x-{i}" for i in range(self.images)]
        yield ImageBatch(ids, np.zeros((self.images, 2, 2, 3), np.uint8), np.zeros(self.images, np.int64))


@dataclasses.dataclass
class Count:
    """Work that reads a shard and leaves a file for it; shards in `failing` fail."""

    folder: str
    failing: tuple[int, ...] = ()
    unusable: str | None = None

    def setup(self) -> None:
        if self.unusable is not None:
            raise KeyStoreError(self.unusable)

    def run(self, task: ShardTask) -> ShardReceipt:
        if task.index in self.failing:
            raise DataError(f"shard {task.index} is cut off")
        images = sum(len(batch) for batch in task.reader.batches(lambda bad: None))
        Path(self.folder, f"{task.split}-{task.index}").write_text(str(images))
        return ShardReceipt(task.split, task.index, None, images=images, seconds={"read": 0.25})


TASKS = [ShardTask("train", i, 5, Blank(i + 1)) for i in range(5)]


BEAM = ("--runner=DirectRunner",)
WAYS = pytest.mark.parametrize(
    ("beam", "processes"), [((), 1), ((), 2), (BEAM, None)], ids=["1", "2", "Beam"]
)


@WAYS
def test_every_shard_is_worked_on_once_and_counted(tmp_path, beam, processes):
    options = runners.options(beam)
    metrics = execution.run(TASKS, Count(str(tmp_path)), fail_if_any, options, processes=processes)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"train-{i}": str(i + 1) for i in range(5)
    }
    assert (metrics.shards, metrics.images, metrics.kept_shards) == (5, 15, 0)
    assert metrics.seconds["read"].total == pytest.approx(1.25)
    assert metrics.seconds["read"].longest == pytest.approx(0.25)


@WAYS
def test_failed_shards_are_one_error_with_every_reason(tmp_path, beam, processes):
    work = Count(str(tmp_path), failing=(1, 3))
    with pytest.raises(ShardsFailedError, match=r"shard 1 is cut off \(and 1 more like this\)") as raised:
        execution.run(TASKS, work, fail_if_any, runners.options(beam), processes=processes)
    assert raised.value.reasons == ["shard 1 is cut off", "shard 3 is cut off"]
    assert raised.value.images == 1 + 3 + 5


@WAYS
def test_work_that_cannot_be_set_up_fails_once_with_its_own_words(tmp_path, beam, processes):
    work = Count(str(tmp_path), unusable="key 7 is destroyed")
    with pytest.raises(ShardsFailedError) as raised:
        execution.run(TASKS, work, fail_if_any, runners.options(beam), processes=processes)
    assert str(raised.value) == "key 7 is destroyed"
    assert not list(tmp_path.iterdir())


def test_a_worker_turns_what_a_person_must_mend_into_a_receipt(tmp_path):
    receipt = Worker(Count(str(tmp_path), failing=(1,))).run(TASKS[1])
    assert receipt.failure == "shard 1 is cut off"
    missing = Worker(Count(str(tmp_path / "nowhere"))).run(TASKS[0])
    assert "check the path" in missing.failure


def test_the_watch_looks_while_the_job_runs_and_when_it_has_ended(tmp_path):
    looks: list[int] = []
    watch = Watch(lambda: looks.append(len(list(tmp_path.iterdir()))), every=0.01)
    execution.run(TASKS, Count(str(tmp_path)), fail_if_any, None, watch=watch)
    assert looks[-1] == 5
    seen = len(looks)
    time.sleep(0.05)
    assert len(looks) == seen


def test_a_failure_passes_through_a_runners_words():
    reasons = [f"shard {i}: “cut” off" for i in range(500)]
    quoted = RuntimeError(
        f"java.lang.RuntimeException: worker said {JobFailedError(reasons, 7)!r} at Fn.java:1"
    )
    failure = failure_in(quoted)
    assert failure is not None
    assert (failure.count, failure.images, failure.reasons) == (500, 7, reasons[:100])
    assert failure_in(RuntimeError("out of memory")) is None


def test_bad_images_pass_through_with_their_number():
    bad = [{"where": f"cat/{i}.png", "reason": "it is no image"} for i in range(500)]
    failure = failure_in(RuntimeError(f"worker said {JobFailedError(['no'], 7, bad)!r}"))
    assert failure is not None
    assert failure.details == {"bad_records": 500, "unreadable": bad[:20]}
    assert failure.__notes__[-1] == "  and 480 more"


@dataclasses.dataclass
class Whose:
    """Work that takes its time, and notes by which process each shard was done."""

    folder: str
    seconds: float

    def setup(self) -> None:
        self.key = lambda: None  # cannot be sent to another process

    def run(self, task: ShardTask) -> ShardReceipt:
        time.sleep(self.seconds)
        Path(self.folder, f"{task.index}").write_text(str(os.getpid()))
        return ShardReceipt(task.split, task.index, None, images=task.reader.expected())


def processes_of(folder: Path, tasks: int, seconds: float, size: int = 0) -> set[str]:
    """The processes among which a job divides its shards, of an image each."""
    shards = [ShardTask("train", i, tasks, Blank(1)) for i in range(tasks)]
    execution.run(shards, Whose(str(folder), seconds), fail_if_any, None, size=size)
    return {path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("tasks", "seconds", "size", "expected"),
    [
        (8, 0.0, 10**6, 1),  # a start of other processes would take longer than the work
        (1, 0.5, 10**10, 1),
        (40, 0.1, 10**9, 2),  # by its size
        (16, 0.4, 0, 2),  # by what its first shard takes
    ],
)
def test_a_job_takes_the_processes_that_it_pays_for(tmp_path, monkeypatch, tasks, seconds, size, expected):
    monkeypatch.setattr(local, "most_processes", lambda: 2)
    found = processes_of(tmp_path, tasks, seconds, size)
    assert len(found) == expected
    assert str(os.getpid()) in found  # this one works too


def test_a_job_takes_no_more_processes_than_memory_is_enough_for(monkeypatch):
    monkeypatch.setattr(local, "usable_cores", lambda: 64)
    for free, expected in ((10**12, 64), (1_600_000_000, 3), (10**8, 1)):
        monkeypatch.setattr(local, "free_memory", lambda free=free: free)
        assert local.most_processes() == expected
