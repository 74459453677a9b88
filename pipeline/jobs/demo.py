"""lpe run: the whole path in one work directory; each step is skipped if its result exists already."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.engine import runners
from lpe.pipeline.engine.beam_options import beam_options
from lpe.pipeline.engine.progress import Progress
from lpe.pipeline.jobs.encrypt import encrypt
from lpe.pipeline.jobs.ingest import ingest_with_validation
from lpe.pipeline.jobs.register import register_run
from lpe.pipeline.jobs.show import Grid, show
from lpe.pipeline.jobs.spec import CipherChoice, JobResult, JobSpec
from lpe.pipeline.jobs.verify import Verification, verify
from lpe.pipeline.keystore import KeyInfo, KeyRef, KeyStore
from lpe.pipeline.sources import split_uri
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.train.evaluate import Evaluation, evaluate
from lpe.train.loop import TrainResult, TrainSpec, fit
from lpe.train.recipes import recipe, recipe_for
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError
from lpe.transforms.tables import rows_html


@dataclasses.dataclass(frozen=True)
class DemoSpec:
    """The specification of a whole run.

    Attributes:
      read: the images; a validation split is cut from train unless the source has one.
      work: the work directory.
      choice: the scheme.
      key: the key; the keyset is made if absent.
      model, epochs, seed: see `TrainSpec`.
      baseline: also train the same model on the plain images.
      beam: Beam's options, see `JobSpec`.
      skip_bad_records: see `JobSpec`.
    """

    read: ReadSpec
    work: str
    choice: CipherChoice
    key: KeyRef
    model: str = "cnn"
    epochs: int = 6
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
    """

    work: str
    steps: tuple[Step, ...]
    encrypted_accuracy: float
    plain_accuracy: float | None

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
        return {"work": self.work, "stages": stages, "accuracy": self.accuracy}


def run_demo(spec: DemoSpec, progress: Progress) -> DemoResult:
    """Makes keys, ingests, encrypts, verifies, draws, trains and evaluates.

    A run that was killed goes on where it stopped: every step looks at what is there.

    Raises:
      UsageError: an option does not go with the source or the runner, or the runner would not wait for jobs.
      DataError: the source is damaged, or an encrypted image does not decrypt to the plain one.
      KeyStoreError: the key cannot be had.
    """
    runners.check_waited_for(beam_options(spec.beam), "run")
    steps = _Steps(progress)
    steps.run("keys", lambda: _keys(spec.key))
    plain = steps.run("ingest", lambda: _ingest(spec, progress)).dataset
    encrypted = steps.run("encrypt", lambda: _encrypt(spec, progress, plain)).dataset
    steps.run("verify", lambda: _verify(spec, encrypted, plain))
    steps.run("show", lambda: _show(spec, encrypted))
    accuracy = _train_and_evaluate(spec, steps, progress, "encrypted", encrypted)
    baseline = _train_and_evaluate(spec, steps, progress, "plain", plain) if spec.baseline else None
    return DemoResult(spec.work, tuple(steps.finished), accuracy, baseline)


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
        started = time.monotonic()
        done = work()
        seconds = time.monotonic() - started
        self.finished.append(Step(name, done.result, seconds, done.skipped, done.summary))
        return done.result


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


def _train_and_evaluate(
    spec: DemoSpec, steps: _Steps, progress: Progress, kind: str, dataset: Dataset
) -> float:
    """The accuracy on the test split, or on the validation split where there is none."""
    run = storage.join(spec.work, "runs", kind)
    steps.run(f"train ({kind})", lambda: _train(spec, progress, dataset, run))
    if dataset.encryption is not None:
        register_run(run, spec.key.keystore)  # its predictions need the key: rotation must not destroy it
    split = "test" if "test" in dataset.splits else "validation"
    return steps.run(f"evaluate ({kind})", lambda: _evaluate(run, dataset, split)).accuracy


def _train(spec: DemoSpec, progress: Progress, dataset: Dataset, run: str) -> _Done[TrainResult]:
    settings = TrainSpec(
        data=dataset.directory,
        output=run,
        model=spec.model,
        epochs=spec.epochs,
        recipe=recipe(recipe_for(spec.model)),
        seed=spec.seed,
    )
    result = fit(settings, progress=progress.epoch)
    summary = f"{result.epochs} epochs, validation {result.accuracy['validation']:.1%}, {result.model}"
    return _Done(result, summary, result.skipped)


def _evaluate(run: str, dataset: Dataset, split: str) -> _Done[Evaluation]:
    evaluation = evaluate(load_run(run), dataset.directory, split=split)
    return _Done(evaluation, f"accuracy {evaluation.accuracy:.1%} on {evaluation.examples:,} images")
