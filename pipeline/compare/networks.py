"""A comparison's networks, trained side by side in processes that import the backend once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lpe.pipeline import storage
from lpe.pipeline.compare import duration, results
from lpe.pipeline.compare.results import TrialResult
from lpe.pipeline.compare.trials import CompareSpec, Trial
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.engine.cores import usable_cores
from lpe.pipeline.engine.memory import free_memory
from lpe.pipeline.engine.progress import Progress
from lpe.pipeline.jobs.side_by_side import SideBySide
from lpe.pipeline.jobs.training_process import PRELOAD, Trained, load_backend, train_and_evaluate
from lpe.train.loop import TrainSpec

RESULTS_FILE = "results.jsonl"
_SMALL = ("cnn", "vit", "convmixer")
"""Networks that train on little more than one core, however many there are; the others fill all, or a GPU."""
_PROCESS_BYTES = 2 << 30


class Networks:
    """The trainings of a comparison; the end of a `with` block ends them.

    Each network's result goes to `results.jsonl` when it is there: those of an earlier run are not trained again.

    Args:
      spec: the comparison.
      progress: where it is reported.
      split: what accuracy is measured on.
    """

    def __init__(self, spec: CompareSpec, progress: Progress, split: str) -> None:
        self._spec = spec
        self._progress = progress
        self._split = split
        self._path = storage.join(spec.work, RESULTS_FILE)
        self._known = results.read(self._path)
        self._begun: dict[str, Trial] = {}
        self._running: SideBySide[Trained] | None = None

    def __enter__(self) -> Networks:
        """Itself; processes start with the first network."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the processes."""
        if self._running is not None:
            self._running.__exit__(*error)

    def begin(self, wanted: Iterable[tuple[Trial, Dataset]]) -> None:
        """Has networks trained, in this order, each on its dataset, but for those that were begun or have a result."""
        known = {result.trial for result in self._known}.union(self._begun.values())
        for trial, data in wanted:
            if trial in known:
                continue
            if self._running is None:
                self._running = SideBySide(
                    _processes(self._spec.model), load_backend, self._progress, PRELOAD
                )
            self._begun[_title(trial)] = trial
            self._running.submit(_title(trial), train_and_evaluate, self._settings(trial, data), self._split)

    def results(self, planned: Sequence[Trial]) -> list[TrialResult]:
        """The results of networks that were begun, now or in an earlier run, in this order; waits for them.

        Raises:
          LpeError: a training failed.
        """
        for name, trained in self._running.finished() if self._running is not None else ():
            trial = self._begun[name]
            train, accuracy = trained.train, trained.evaluation.accuracy
            self._known.append(
                TrialResult(trial, accuracy, self._spec.epochs, train.seconds, trial.directory)
            )
            results.write(self._path, self._known)
            done = [result for result in self._known if result.trial in planned]
            self._progress.note(
                f"[{len(done)}/{len(planned)}] {name}: {accuracy:.1%} ({train.seconds:.0f} s)"
                f"{duration.left(done, len(planned) - len(done), _processes(self._spec.model))}"
            )
        by_trial = {result.trial: result for result in self._known}
        return [by_trial[trial] for trial in planned]

    def _settings(self, trial: Trial, data: Dataset) -> TrainSpec:
        spec = self._spec
        return TrainSpec(
            data=data.directory,
            output=storage.join(spec.work, trial.directory),
            model=spec.model,
            front_end=trial.front_end,
            epochs=spec.epochs,
            recipe=spec.recipe,
            precision=spec.precision,
            seed=trial.seed,
            images=spec.images,
        )


def _processes(model: str) -> int:
    """How many networks are trained at once: as many as there are cores, if each leaves the others memory enough."""
    if model not in _SMALL:
        return 1
    return max(1, min(usable_cores(), free_memory() // _PROCESS_BYTES))


def _title(trial: Trial) -> str:
    kind = f"{trial.kind} {trial.front_end}" if trial.kind == "front end" else trial.kind
    return f"{trial.scheme.title}, {kind}, seed {trial.seed}"
