"""lpe run: the whole path in one work directory; each step is skipped if its result exists already."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from lpe.pipeline import storage
from lpe.pipeline.audit.report import AuditReport
from lpe.pipeline.audit.verdict import analyst_sentence
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.engine import runners
from lpe.pipeline.engine.cores import usable_cores
from lpe.pipeline.engine.progress import Progress
from lpe.pipeline.jobs.audit import AuditSpec, audit
from lpe.pipeline.jobs.encrypt import encrypt
from lpe.pipeline.jobs.ingest import ingest_with_validation
from lpe.pipeline.jobs.register import register_run
from lpe.pipeline.jobs.show import Grid, show
from lpe.pipeline.jobs.side_by_side import SideBySide
from lpe.pipeline.jobs.spec import CipherChoice, JobResult, JobSpec
from lpe.pipeline.jobs.training_process import PRELOAD, Trained, load_backend, train_and_evaluate
from lpe.pipeline.jobs.verify import Verification, verify
from lpe.pipeline.jobs.work_directory import KINDS, audit_directory, run_directory
from lpe.pipeline.keystore import KeyInfo, KeyRef, KeyStore
from lpe.pipeline.sources import split_uri
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.train import backend, front_ends
from lpe.train.loop import TrainSpec
from lpe.train.recipes import quick, recipe, recipe_for
from lpe.transforms.errors import DataError
from lpe.transforms.extras import is_importable
from lpe.transforms.tables import rows_html

_AUDITED_BYTES = 100 * 32 * 32 * 3
"""Of images that are audited: a hundred small ones."""
_LEAST_AUDITED, _MOST_AUDITED = 10, 100


@dataclasses.dataclass(frozen=True)
class DemoSpec:
    """The specification of a whole run.

    Attributes:
      read: the images; a validation split is cut from train unless the source has one.
      work: the work directory.
      choice: the scheme.
      key: the key; the keyset is made if absent.
      model, front_end, seed: see `TrainSpec`.
      epochs: see `TrainSpec`; None for as many as the number of images asks for.
      baseline: also train the same model on the plain images.
      beam: Beam's options, see `JobSpec`.
      skip_bad_records: see `JobSpec`.
    """

    read: ReadSpec
    work: str
    choice: CipherChoice
    key: KeyRef
    model: str = "cnn"
    front_end: str = front_ends.AUTO
    epochs: int | None = None
    seed: int = 0
    baseline: bool = True
    beam: Sequence[str] = ()
    skip_bad_records: bool = False


class StepResult(Protocol):
    """The result of a step, for `--json`."""

    def to_json(self) -> dict[str, Any]:
        """The result's fields."""


@dataclasses.dataclass(frozen=True)
class Keyset:
    """The keyset of a run.

    Attributes:
      keystore: the key store's URI.
      name: the keyset's.
      keys: its keys, oldest first.
      skipped: whether it existed before.
    """

    keystore: str
    name: str
    keys: tuple[KeyInfo, ...]
    skipped: bool

    def to_json(self) -> dict[str, Any]:
        """The step's fields in `--json`."""
        return {
            "status": "skipped" if self.skipped else "ok",
            "keystore": self.keystore,
            "name": self.name,
            "keys": [dataclasses.asdict(key) for key in self.keys],
        }


@dataclasses.dataclass(frozen=True)
class Step:
    """One finished step.

    Attributes:
      name: e.g. `encrypt` or `train (plain)`.
      result: what it gave.
      seconds: what it took in this run.
      skipped: whether its result existed before.
      summary: the result in one line.
    """

    name: str
    result: StepResult
    seconds: float
    skipped: bool
    summary: str

    @property
    def status(self) -> str:
        """`ok` or `skipped`."""
        return "skipped" if self.skipped else "ok"

    def to_json(self) -> dict[str, Any]:
        """The step's fields in `--json`."""
        return {**self.result.to_json(), "status": self.status, "seconds": round(self.seconds, 3)}


@dataclasses.dataclass(frozen=True)
class DemoResult:
    """The result of a whole run.

    Attributes:
      work: the work directory.
      steps: in the order in which they were done.
      encrypted_accuracy: of the network on encrypted images, 0..1.
      plain_accuracy: of the same network on plain images; None without a baseline.
      front_end: the front end of the network on encrypted images, `auto` resolved.
      analyst: a sentence on what an analyst restores of the same data; None if that was not tried.
    """

    work: str
    steps: tuple[Step, ...]
    encrypted_accuracy: float
    plain_accuracy: float | None
    front_end: str
    analyst: str | None

    @property
    def accuracy(self) -> dict[str, float | None]:
        """By kind of images, `encrypted` and `plain`."""
        return {"encrypted": self.encrypted_accuracy, "plain": self.plain_accuracy}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of a summary table."""
        rows = [
            [step.name, step.summary, "there already" if step.skipped else f"{step.seconds:.1f} s"]
            for step in self.steps
        ]
        return ["step", "what came out", "time"], rows

    def _repr_html_(self) -> str:
        known = {kind: value for kind, value in self.accuracy.items() if value is not None}
        accuracy = ", ".join(f"{kind} {value:.1%}" for kind, value in known.items())
        return rows_html(f"{self.work}: accuracy {accuracy}", *self.table())

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is the command's."""
        stages = {step.name: step.to_json() for step in self.steps}
        return {
            "work": self.work,
            "stages": stages,
            "accuracy": self.accuracy,
            "front_end": self.front_end,
            "analyst": self.analyst,
        }


def run_demo(spec: DemoSpec, progress: Progress) -> DemoResult:
    """Makes keys, ingests, encrypts, verifies, draws, audits, trains and evaluates.

    A run that was killed goes on where it stopped: every step looks at what is there. Networks are trained in processes
    of their own, at once where there are cores enough, so that a script calls this under `if __name__ == "__main__":`.

    Raises:
      UsageError: an option does not go with the source or the runner, or the runner would not wait for jobs.
      DataError: the source is damaged, or an encrypted image does not decrypt to the plain one.
      KeyStoreError: the key cannot be had.
    """
    runners.check_waited_for(runners.options(spec.beam), "run")
    backend.title()  # refuses before all work where no network can be trained
    steps = _Steps(progress)
    kinds = KINDS if spec.baseline else KINDS[:1]
    processes = min(len(kinds), usable_cores())
    with SideBySide[Trained](processes, load_backend, progress, PRELOAD) as trainings:
        steps.run("keys", lambda: _keys(spec.key))
        plain = steps.run("ingest", lambda: _ingest(spec, progress)).dataset
        encrypted = steps.run("encrypt", lambda: _encrypt(spec, progress, plain)).dataset
        steps.run("verify", lambda: _verify(spec, encrypted, plain))
        for kind, dataset in zip(kinds, (encrypted, plain), strict=False):
            trainings.submit(kind, train_and_evaluate, *_training(spec, kind, dataset))
        steps.run("show", lambda: _show(spec, encrypted))
        analyst = _audit(spec, steps, trainings, encrypted)
        trained = {kind: _trained(steps, trainings, kind) for kind in kinds}
    register_run(trained["encrypted"].train.run, spec.key.keystore)  # rotation must not destroy its key
    accuracies = {kind: one.evaluation.accuracy for kind, one in trained.items()}
    return DemoResult(
        spec.work,
        tuple(steps.finished),
        accuracies["encrypted"],
        accuracies.get("plain"),
        trained["encrypted"].train.front_end,
        analyst,
    )


_Result = TypeVar("_Result", bound=StepResult)


@dataclasses.dataclass(frozen=True)
class _Done(Generic[_Result]):
    """A step's result, in one line too, and whether it existed before."""

    result: _Result
    summary: str
    skipped: bool = False


class _Steps:
    """The steps of a run, timed.

    Attributes:
      finished: those that are done.
    """

    def __init__(self, progress: Progress) -> None:
        self.finished: list[Step] = []
        self._progress = progress

    def run(self, name: str, work: Callable[[], _Done[_Result]]) -> _Result:
        """Runs a step; its result."""
        self._progress.note(f"{name} …")
        self._progress.status(name)
        started = time.monotonic()
        done = work()
        self.add(name, done, time.monotonic() - started)
        return done.result

    def add(self, name: str, done: _Done[_Result], seconds: float) -> None:
        """Adds a step that was done elsewhere."""
        self.finished.append(Step(name, done.result, seconds, done.skipped, done.summary))


def _keys(key: KeyRef) -> _Done[Keyset]:
    store = KeyStore(key.keystore)
    exists = store.exists(key.name)
    keys = store.keys(key.name) if exists else store.create(key.name)
    keyset = Keyset(key.keystore, key.name, tuple(keys), skipped=exists)
    return _Done(keyset, f"keyset {key.name} in {key.keystore}", exists)


def _ingest(spec: DemoSpec, progress: Progress) -> _Done[JobResult]:
    if split_uri(spec.read.source)[0] == "dataset":
        with open_plan(spec.read) as plan:
            assert plan.dataset is not None
            return _written(JobResult(plan.dataset, skipped=True, seconds=0.0))
    root = storage.join(spec.work, "plain")
    return _written(
        ingest_with_validation(spec.read, root, spec.beam, progress, skip_bad_records=spec.skip_bad_records)
    )


def _encrypt(spec: DemoSpec, progress: Progress, plain: Dataset) -> _Done[JobResult]:
    home = storage.join(spec.work, "encrypted", storage.base_name(storage.parent(plain.directory)))
    with progress.progress("encrypt") as update:
        read = ReadSpec(f"dataset:{plain.directory}")
        job = JobSpec(read, home, spec.beam, spec.skip_bad_records, update)
        return _written(encrypt(job, spec.choice, spec.key))


def _written(result: JobResult) -> _Done[JobResult]:
    splits = result.dataset.splits
    counts = ", ".join(f"{split.examples:,} {name}" for name, split in splits.items())
    size = result.dataset.num_bytes / 1e6
    return _Done(result, f"{counts} ({size:,.1f} MB) in {result.dataset.directory}", result.skipped)


def _verify(spec: DemoSpec, encrypted: Dataset, plain: Dataset) -> _Done[Verification]:
    verification = verify(encrypted.directory, spec.key.keystore, plain.directory, spec.beam)
    if verification.problems:
        raise DataError(verification.problems[0])
    return _Done(verification, f"{verification.examples:,} images decrypt to the plain ones")


def _show(spec: DemoSpec, encrypted: Dataset) -> _Done[Grid]:
    output = storage.join(spec.work, "grid.png")
    return _Done(show(output, dataset=encrypted.directory, keystore=spec.key.keystore), output)


def _audit(spec: DemoSpec, steps: _Steps, trainings: SideBySide[Trained], encrypted: Dataset) -> str | None:
    """What an analyst gets; None without the libraries for it, or where images differ in shape."""
    shape = encrypted.image_shape
    if shape is None or not is_importable("skimage"):
        return None
    images = max(_LEAST_AUDITED, min(_MOST_AUDITED, _AUDITED_BYTES // math.prod(shape)))
    output = audit_directory(spec.work)
    settings = AuditSpec(output, encrypted.directory, spec.key.keystore, images=images)

    def work() -> _Done[AuditReport]:
        report = audit(settings, lambda line: trainings.status("audit", line))
        trainings.status("audit", "")
        return _Done(report, f"{report.images:,} images attacked, {report.page}")

    return analyst_sentence(steps.run("audit", work).schemes[0])


def _training(spec: DemoSpec, kind: str, dataset: Dataset) -> tuple[TrainSpec, str]:
    """What `train_and_evaluate` is given; accuracy is measured on the test split, if there is one."""
    images = dataset.splits["train"].examples if "train" in dataset.splits else 0
    chosen, epochs = quick(recipe(recipe_for(spec.model)), images)
    settings = TrainSpec(
        data=dataset.directory,
        output=run_directory(spec.work, kind),
        model=spec.model,
        front_end=spec.front_end,
        epochs=spec.epochs or epochs,
        recipe=chosen,
        seed=spec.seed,
    )
    return settings, "test" if "test" in dataset.splits else "validation"


def _trained(steps: _Steps, trainings: SideBySide[Trained], kind: str) -> Trained:
    """Waits for a training, and adds its steps."""
    done = trainings.result(kind)
    result, evaluation = done.train, done.evaluation
    front_end = "" if result.front_end == front_ends.NONE else f", front end {result.front_end}"
    summary = (
        f"{result.epochs} epochs, validation {result.accuracy['validation']:.1%}{front_end}, {result.model}"
    )
    steps.add(f"train ({kind})", _Done(result, summary, result.skipped), done.train_seconds)
    accuracy = f"accuracy {evaluation.accuracy:.1%} on {evaluation.examples:,} images"
    steps.add(f"evaluate ({kind})", _Done(evaluation, accuracy), done.evaluate_seconds)
    return done
