"""verify: every record of a dataset checked, under its key and against the plain dataset."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from lpe.pipeline.dataset import Dataset, open_dataset
from lpe.pipeline.dataset.reader import Reader
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.batch_transforms import BatchTransform, Decrypt, Identity
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.reduced_reader import DatasetReduction, reduced
from lpe.pipeline.engine import execution, runners
from lpe.pipeline.engine.check_shard import CheckShard, check_all
from lpe.pipeline.engine.failures import ShardsFailedError
from lpe.pipeline.engine.metrics import JobMetrics
from lpe.pipeline.jobs.spec import check_processes
from lpe.pipeline.sources import augmented
from lpe.pipeline.sources.plan import plan_dataset
from lpe.transforms.errors import DataError
from lpe.transforms.tables import megabytes, properties_html


@dataclasses.dataclass(frozen=True)
class Verification:
    """The findings of `verify`.

    Attributes:
      dataset: what was checked.
      examples: how many were read and held what they must.
      problems: one line each; none if all is well.
      with_key: whether the dataset's key was at hand.
      compared: whether every image was compared with a plain dataset's.
      seconds: what it took.
      metrics: what was counted; None where the runner does not tell.
    """

    dataset: Dataset
    examples: int
    problems: tuple[str, ...]
    with_key: bool
    compared: bool
    seconds: float
    metrics: JobMetrics | None = None

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        checked = ["metadata, sizes, checksums, counts, labels, ids"]
        checked += ["key"] if self.with_key else []
        checked += ["every seal"] if self.with_key and self.dataset.sealed else []
        reduction = self.dataset.reduction
        reduced = "" if reduction is None else f", reduced ({reduction})"
        checked += [f"every image equals the plain one{reduced}"] if self.compared else []
        rows = {
            "dataset": self.dataset.directory,
            "examples": f"{self.examples:,} ({megabytes(self.dataset.num_bytes)})",
            "checked": "; ".join(checked),
            "result": "; ".join(self.problems) or "ok",
        }
        if self.metrics is not None:
            rows["work"] = str(self.metrics)
        return {**rows, "time": f"{self.seconds:.1f} s"}

    def _repr_html_(self) -> str:
        return properties_html("verify", self.properties())

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is verify's."""
        return {
            "seconds": round(self.seconds, 3),
            "dataset": self.dataset.directory,
            "splits": {name: split.summary() for name, split in self.dataset.splits.items()},
            "examples": self.examples,
            "compared": self.compared,
            "ok": not self.problems,
            "problems": list(self.problems),
            "metrics": self.metrics.to_json() if self.metrics is not None else None,
        }


def verify(
    path: str,
    keystore: str | None = None,
    against: str | None = None,
    beam: Sequence[str] = (),
    processes: int | None = None,
) -> Verification:
    """Reads every record of a dataset and checks what can be checked.

    Always: metadata, sizes, checksums, counts, labels, unique ids. With a key store: that the key is the dataset's,
    that its owner wrote every file, and that every sealed image opens. With `against`: that every image,
    decrypted if need be, and every class name equals the one of that plain dataset, whose images are reduced first if
    those that were encrypted were.

    Args:
      path: a dataset home or version directory.
      keystore: the key store's URI.
      against: a plain dataset's home or version directory.
      beam: Beam's options, see `JobSpec`.
      processes: how many work at once on this machine, see `JobSpec`.

    Raises:
      DataError: there is no dataset at a path, it is plain and has no key, or the two cannot be compared.
      KeyStoreError: the key store or the key cannot be opened.
    """
    started = time.monotonic()
    options = runners.options(beam)
    check_processes(processes, options)
    runners.check_waited_for(options, "verify")
    path = runners.on_workers(options, path)
    keystore = None if keystore is None else runners.on_workers(options, keystore)
    against = None if against is None else runners.on_workers(options, against)
    data = open_dataset(path)
    if keystore is not None and data.encryption is None:
        # Without its encryption.json, an encrypted version looks like plain data that somebody else wrote.
        raise DataError(
            f"{data.directory}: not an encrypted dataset of lpe's, so that no key can tell who wrote it; restore it "
            "from a copy, or leave out --keystore for plain data"
        )
    restore: BatchTransform = Identity()
    reduction: DatasetReduction | None = None
    class_names = data.class_names
    if data.encryption is not None:
        encryption = Encryption.of(data, "")
        if keystore is not None:
            key = open_dataset_key(data, encryption, keystore)
            class_names = encryption.class_names(key, class_names)
            reduction = DatasetReduction.of(encryption, keystore)
            if against is not None or encryption.seal is not None:
                restore = Decrypt(keystore, encryption, len(data.class_names))
        elif against is not None:
            raise DataError(
                f"{data.directory}: comparing an encrypted dataset needs its key; pass --keystore"
            )
    plain = None
    if against is not None:
        plain_data = open_dataset(against)
        if plain_data.class_names != class_names:
            raise DataError(
                f"{data.directory} and {plain_data.directory} have other class names; name the dataset that was "
                "encrypted"
            )
        plain = _counterparts(data, plain_data, reduction)
    plan = plan_dataset(data)
    problems: tuple[str, ...] = ()
    metrics = None
    # A shard without a failure was read to its end and held what it must.
    examples = plan.examples
    try:
        metrics = execution.run(
            plan.tasks,
            CheckShard(restore, plain),
            check_all,
            options,
            processes=processes,
            size=plan.bytes,
        )
    except ShardsFailedError as error:
        problems, examples = tuple(error.reasons), error.images
        if error.count > len(problems):
            problems += (f"and {error.count - len(problems)} more like these",)
    seconds = time.monotonic() - started
    with_key = keystore is not None
    return Verification(data, examples, problems, with_key, against is not None, seconds, metrics)


def _counterparts(
    data: Dataset, plain: Dataset, reduction: DatasetReduction | None
) -> dict[tuple[str, int], Reader]:
    """The plain reader of each shard, by split and index. Raises DataError if the two do not go together."""
    if plain.encrypted:
        raise DataError(f"{plain.directory}: this dataset is encrypted too; name a plain one after --against")
    if reduction is not None and plain.image_shape != reduction.recorded.image_shape:
        raise DataError(
            f"{plain.directory}: its images have not the shape of those that {data.directory} was made from; name the "
            "dataset that was encrypted, not one that was decrypted"
        )
    plan = reduced(plan_dataset(plain), reduction)
    if data.augmentation is not None and plain.augmentation is None:
        plan = augmented.with_copies(plan, augmented.from_json(data.augmentation))
    shard_lengths: dict[str, list[int]] = {}
    for task in plan.tasks:
        shard_lengths.setdefault(task.split, []).append(task.reader.expected())
    if {name: list(split.shard_lengths) for name, split in data.splits.items()} != shard_lengths:
        raise DataError(
            f"{data.directory} and {plain.directory} differ in splits or shards, so that one was not made from "
            "the other; name the dataset that was encrypted"
        )
    return {(task.split, task.index): task.reader for task in plan.tasks}
