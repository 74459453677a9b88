"""Training: from a dataset to a run directory.

RUN/spec.json          what was asked for; written first
RUN/metrics.jsonl      a line an epoch
RUN/checkpoints/       to resume from; removed at the end
RUN/tensorboard/       the same metrics for TensorBoard
RUN/curves.png         the same metrics as a picture
RUN/model.keras        the network with the best epoch's weights
RUN/run.json           what `evaluate` and `predict` need to know; written last, the commit
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpe.pipeline import storage
from lpe.pipeline.dataset.cached import CACHE_BYTES
from lpe.pipeline.seal.opening import DataKeySource
from lpe.pipeline.storage.documents import read_document
from lpe.train import backend, curves, front_ends, models
from lpe.train.backend import Precision
from lpe.train.fine_tuning import check_origin, origin_record
from lpe.train.front_ends import tables
from lpe.train.loading import bad_shards
from lpe.train.loading.bad_shards import LeftOut, OnBadShard, check_choice
from lpe.train.loading.examples import MEMORY_BYTES
from lpe.train.loading.files import ShardFiles, shard_files
from lpe.train.loading.inputs import sample, training_input
from lpe.train.progress import Progress, Status, unheard
from lpe.train.recipes import RECIPES, Recipe
from lpe.train.run_state import CHECKPOINTS, RunState, best_epoch
from lpe.train.runs import MODEL_FILE, RUN_FILE, SPEC_FILE, Run, load_run
from lpe.train.versions import DataUsed, open_version
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.tables import properties_html

if TYPE_CHECKING:
    import keras

CURVES_FILE = "curves.png"
TENSORBOARD = "tensorboard"
_BESIDE = ("data_key", "on_bad_shard", "cache", "cache_bytes")
"""Fields of a spec by which two runs may differ and still be the same."""


@dataclasses.dataclass(frozen=True)
class TrainSpec:
    """A training run: what to train, on what, and where to put it.

    Attributes:
      data: a dataset's version, or a home without both plain and encrypted versions: the newest one.
      output: the run directory, local. One with an unfinished run of the same spec is resumed, one
        with a finished run of the same spec is left as it is, any other is refused.
      model: a name of `lpe.train.models.names()`, or another size of one.
      front_end: see `lpe.train.front_ends`; `auto` is the one that is meant for the dataset's scheme, `none` gives
        the network the bytes as they are.
      epochs: how often the network sees the training images.
      recipe: optimiser, schedule, regularisation.
      precision: what is computed in; weights are float32 in any case.
      seed: of the initial weights and of the order of images. The same seed gives the same model
        on the same machine.
      validation_fraction: held out of `train` where the dataset has no split `validation`.
      images: train on at most so many of the training images, evenly spread; None for all.
      init_from: a finished run whose network this one starts from (fine-tuning), e.g. the run on the version
        of the dataset before it was re-encrypted. None: fresh weights.
      data_key: the path of the data key that opens a sealed dataset, in memory, or what else gives it. No part of
        what makes two runs the same.
      on_bad_shard: what to do with a shard that is missing or damaged: `fail`, or `skip`, which reads all shards before
        the first epoch and leaves the bad ones out of all epochs, with a warning.
      cache: the directory, on this machine, in which shards of a bucket are kept; None for `lpe` in the user's cache
        directory. No part of what makes two runs the same, and neither is its size.
      cache_bytes: what it may take of the disk.

    Raises:
      UsageError: a value out of its range.
    """

    data: str
    output: str
    model: str = "cnn"
    front_end: str = front_ends.AUTO
    epochs: int = 10
    recipe: Recipe = RECIPES["small"]
    precision: Precision = "float32"
    seed: int = 0
    validation_fraction: float = 0.1
    images: int | None = None
    init_from: str | None = None
    data_key: str | DataKeySource | None = None
    on_bad_shard: OnBadShard = "fail"
    cache: str | None = None
    cache_bytes: int = CACHE_BYTES

    def __post_init__(self) -> None:
        models.check(self.model)
        front_ends.check(self.front_end)
        check_choice(self.on_bad_shard)
        if self.epochs < 1 or (self.images is not None and self.images < 1):
            raise UsageError(f"epochs ({self.epochs}) and training images ({self.images}) must be at least 1")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"the seed must be in 0..{2**32 - 1}, not {self.seed}")
        if not 0 < self.validation_fraction <= 0.5:
            raise UsageError(f"the validation fraction must be in (0, 0.5], not {self.validation_fraction}")


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """The result of a training run.

    Attributes:
      run: the run directory.
      data: what it was trained on.
      model: the `.keras` file, with the weights of the best epoch.
      front_end: the front end's name, `auto` resolved.
      epochs: how many there were.
      accuracy: `train` and `validation` of the best epoch, 0..1.
      seconds: training time of all epochs, interruptions left out.
      skipped: whether the run was finished before, so that nothing was trained.
      bad_shards: the files that were left out because they are missing or damaged.
    """

    run: str
    data: DataUsed
    model: str
    front_end: str
    epochs: int
    accuracy: Mapping[str, float]
    seconds: float
    skipped: bool
    bad_shards: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: Run, *, skipped: bool) -> TrainResult:
        """The result of a finished run."""
        return cls(
            run=run.directory,
            data=DataUsed(run.dataset["name"], run.dataset["version"], run.encryption),
            model=run.model_path,
            front_end=run.spec["front_end"],
            epochs=run.epochs,
            accuracy=run.accuracy,
            seconds=run.seconds,
            skipped=skipped,
            bad_shards=tuple(run.spec.get("bad_shards", ())),
        )

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        bad = {"bad shards": f"{len(self.bad_shards)}, left out"} if self.bad_shards else {}
        return {
            **self.data.properties(),
            **bad,
            "run": self.run,
            "model": self.model,
            "front end": self.front_end,
            "epochs": str(self.epochs),
            "accuracy": f"{self.accuracy['train']:.1%} train, {self.accuracy['validation']:.1%} validation",
            "time": "nothing to do" if self.skipped else f"{self.seconds:.0f} s",
        }

    def _repr_html_(self) -> str:
        return properties_html("train", self.properties())

    def to_json(self) -> dict[str, Any]:
        """What `lpe train --json` prints of it; `status` is `ok` or `skipped`."""
        return {
            "status": "skipped" if self.skipped else "ok",
            "run": self.run,
            **self.data.to_json(),
            "model": self.model,
            "front_end": self.front_end,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "accuracy": dict(self.accuracy),
            "bad_shards": list(self.bad_shards),
        }


def fit(spec: TrainSpec, progress: Progress | None = None, status: Status = unheard) -> TrainResult:
    """Trains, or goes on where a killed run of the same spec stopped: at the end of its last epoch.

    Sets seeds, precision and determinism for the whole process (`backend.prepare`): for one thread and one training at
    a time. No two processes may have the same `output`.

    Args:
      spec: the run.
      progress: called after each epoch.
      status: called whenever the work moves on.

    Returns:
      The run's result; of one that was finished before, the same again, with `skipped`.

    Raises:
      DataError: the dataset is missing, damaged or too small, cannot be fetched or kept, or is sealed and there is no
        data key; `output` holds something else; or the network of `init_from` is missing, damaged or does not fit.
      KeyStoreError: the data key is missing, may be read by others, or is another dataset's.
      UsageError: `data` is a home with plain and encrypted versions, model or front end do not take such images, or
        Keras is not installed.
      LpeError: the loss diverged.
    """
    dataset = open_version(spec.data)
    files = shard_files(dataset, spec.data_key, spec.cache, spec.cache_bytes)
    spec = dataclasses.replace(spec, front_end=front_ends.resolve(spec.front_end, dataset.encryption))
    origin = None if spec.init_from is None else load_run(spec.init_from)
    if origin is not None:
        check_origin(origin, files, model=spec.model, front_end=spec.front_end)
    left_out = bad_shards.to_leave_out(files, status) if spec.on_bad_shard == "skip" else LeftOut()
    settings = _settings(spec, files, origin, left_out)
    inputs = training_input(
        files,
        batch_size=spec.recipe.batch_size,
        seed=spec.seed,
        validation_fraction=spec.validation_fraction,
        images=spec.images,
        left_out=left_out,
    )
    directory = Path(spec.output)
    if _claim(directory, settings, _beside(spec)):
        run = load_run(spec.output)
        _tidy(directory)
        return TrainResult.of(run, skipped=True)
    status(f"loading {backend.title()}")
    backend.prepare(spec.seed, spec.precision)
    from lpe.train import epochs  # noqa: PLC0415  (imports Keras, which `prepare` sets up)

    with _temporary_files(directory):
        status("making the network")
        model = _fresh_model(spec, files, origin)
        state = RunState(directory)
        finished = state.recover()
        if not finished and spec.front_end != front_ends.NONE:
            status("fitting the front end to ciphertexts")
            count = min(tables.MOST_IMAGES, max(1, tables.MOST_VALUES // math.prod(files.image_shape)))
            front_ends.adapt(model, sample(files, inputs.split, inputs.selection, count))
        epochs.train(
            model,
            inputs,
            state,
            spec.recipe,
            finished=finished,
            epochs=spec.epochs,
            tensorboard=directory / TENSORBOARD,
            progress=progress,
            status=status,
            figures=left_out.figures() if spec.on_bad_shard == "skip" else {},
        )
        best = state.weights_path(best_epoch(state.history))
        epochs.save_best(model, best, directory / MODEL_FILE, averaged=spec.recipe.ema is not None)
        return TrainResult.of(_commit(state, spec, files, settings), skipped=False)


@contextlib.contextmanager
def _temporary_files(directory: Path) -> Iterator[None]:
    """Has temporary files, Keras's among them, lie in the run, where those of a killed one are removed."""
    folder = directory / ".tmp-files"
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def _settings(spec: TrainSpec, files: ShardFiles, origin: Run | None, left_out: LeftOut) -> dict[str, Any]:
    """What makes two runs the same: most of the spec, the dataset and network that it names, and what is left out."""
    dataset = files.dataset
    settings = {
        key: value
        for key, value in dataclasses.asdict(dataclasses.replace(spec, data_key=None)).items()
        if key not in ("output", *_BESIDE)
    }
    settings["data"] = storage.absolute(dataset.directory)
    settings["digest"] = dataset.digest() if dataset.manifest is not None else None
    if origin is not None:
        settings["init_from"] = origin_record(origin)
    if left_out.files:
        settings["bad_shards"] = list(left_out.files)
    if files.most_open(MEMORY_BYTES) < MEMORY_BYTES:  # which decides what is shuffled together
        settings["memory_bytes"] = files.most_open(MEMORY_BYTES)
    return settings


def _beside(spec: TrainSpec) -> dict[str, Any]:
    """What is recorded for the command that finishes the run, and makes it no other."""
    fields = [field for field in dataclasses.fields(spec) if field.name in _BESIDE]
    given = {
        field.name: getattr(spec, field.name)
        for field in fields
        if getattr(spec, field.name) != field.default
    }
    if not isinstance(spec.data_key, str):  # nobody can be told where else it came from
        given.pop("data_key", None)
    return given | {name: storage.absolute(given[name]) for name in ("data_key", "cache") if name in given}


def _claim(directory: Path, settings: dict[str, Any], beside: dict[str, Any]) -> bool:
    """Makes `directory` the place of a run with `settings`; returns whether that run is finished already.

    Args:
      directory: the run's.
      settings: what makes two runs the same.
      beside: what is recorded with them at the start, and not compared.
    """
    file = directory / SPEC_FILE
    recorded = None
    if file.exists():
        document = read_document(str(file), f"delete {directory} and train again").raw()
        recorded = {key: value for key, value in document.items() if key not in _BESIDE}
    if recorded is None:
        # The temporary file of a run that was killed at its very start does not matter.
        if directory.exists() and not (
            directory.is_dir() and all(path.match(".tmp-*") for path in directory.iterdir())
        ):
            raise DataError(f"{directory}: exists and is no training run; choose another --output")
        storage.delete_temporary_files(str(directory))
        storage.write_atomic(str(file), (json.dumps(settings | beside, indent=2) + "\n").encode())
        return False
    if recorded != settings:
        known = {*settings, "bad_shards", "memory_bytes"}
        differing = [key for key in known if recorded.get(key) != settings.get(key)] or ["kind of settings"]
        raise DataError(
            f"{directory}: holds a run trained with other settings ({', '.join(sorted(differing))}); choose another "
            "--output, or delete the directory"
        )
    storage.delete_temporary_files(str(directory))
    return (directory / RUN_FILE).exists()


def _fresh_model(spec: TrainSpec, files: ShardFiles, origin: Run | None) -> keras.Model:
    """The network before its first epoch: drawn from the seed, or with the weights of the run it starts from."""
    dataset = files.dataset
    model = models.build(
        spec.model, files.image_shape, len(dataset.class_names), spec.front_end, dataset.encryption
    )
    if origin is not None:
        origin.load_weights(model)
    return model


def _commit(state: RunState, spec: TrainSpec, files: ShardFiles, settings: dict[str, Any]) -> Run:
    """Writes what is left of a run whose model is saved, run.json last."""
    directory = Path(spec.output)
    best = best_epoch(state.history)
    storage.write_atomic(str(directory / CURVES_FILE), curves.draw(state.history, best))
    line = state.history[best - 1]
    dataset = files.dataset
    run = Run(
        directory=spec.output,
        model=spec.model,
        spec=settings,
        dataset={"name": dataset.name, "version": dataset.version},
        class_names=dataset.class_names,
        image_shape=files.image_shape,
        encryption=dataset.encryption,
        accuracy={"train": line["accuracy"], "validation": line["val_accuracy"]},
        best_epoch=best,
        epochs=spec.epochs,
        seconds=round(sum(line["seconds"] for line in state.history), 3),
        seed=spec.seed,
        reading=dataset.reading,
    )
    storage.write_atomic(str(directory / RUN_FILE), (json.dumps(run.to_json(), indent=2) + "\n").encode())
    _tidy(directory)
    return run


def _tidy(directory: Path) -> None:
    """Removes what a finished run no longer needs, unless that was done before."""
    if (directory / CHECKPOINTS).exists():
        shutil.rmtree(directory / CHECKPOINTS)
