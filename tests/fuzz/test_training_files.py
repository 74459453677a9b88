"""Files of training runs and comparisons that are damaged, or hostile: whoever can write there made them."""

import dataclasses
import functools
import io
import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lpe.pipeline.compare import restoring, results
from lpe.pipeline.compare.restoring import BestAttack
from lpe.pipeline.compare.results import TrialResult
from lpe.pipeline.compare.schemes import Scheme
from lpe.pipeline.compare.trials import KINDS, CompareSpec, Trial
from lpe.pipeline.dataset import Dataset, open_dataset
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.sources.plan import ReadSpec
from lpe.train.loop import TrainResult, TrainSpec, fit
from lpe.train.recipes import Recipe
from lpe.train.run_state import RunState, best_epoch
from lpe.train.runs import load_run
from tests.fuzz.budget import fuzz
from tests.fuzz.mutations import mutated, mutated_json
from tests.fuzz.trial import trial
from tests.train.datasets import CLASSES, ENCRYPTION, toy_images, write_dataset

RUN = {
    "format_version": 1,
    "model": "cnn",
    "spec": {"front_end": "none", "precision": "float32", "data": "/data/toy/1.0.0", "init_from": None},
    "dataset": {"name": "toy", "version": "1.0.0"},
    "class_names": list(CLASSES),
    "image_shape": [16, 16, 3],
    "encryption": ENCRYPTION,
    "accuracy": {"train": 0.5, "validation": 0.25},
    "best_epoch": 1,
    "epochs": 2,
    "seconds": 3.5,
    "seed": 0,
}
LINES = [
    {"epoch": n, "loss": 1.5, "accuracy": 0.5, "val_loss": 1.25, "val_accuracy": n / 10, "seconds": 2.0}
    for n in (1, 2, 3)
]
TRIALS = [
    Trial(Scheme("lpe-100"), "ciphertext", "none", 0),
    Trial(Scheme("lpe-100"), "front end", "dechain+embedding", 1),
    Trial(Scheme("plain", "thumbnail=8"), "ciphertext", "none", 0),
]
RESULTS = [TrialResult(trial, 0.5, 3, 12.25, trial.directory) for trial in TRIALS]
ATTACK = BestAttack("smoothness", 400, 20.5, 0.75, 0.01, 12.0)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@fuzz(120)
@given(content=mutated_json(encoded(RUN)))
@example(content=encoded({**RUN, "accuracy": {"train": 10**400, "validation": 0.5}}))
@example(content=encoded({**RUN, "seconds": 1}).replace(b'"seconds": 1', b'"seconds": 1e999'))
@example(content=encoded({**RUN, "dataset": []}))
def test_a_runs_record_is_sound_or_refused(place: Path, content: bytes) -> None:
    (place / "run.json").write_bytes(content)
    run = trial(lambda: load_run(str(place)))
    if run is None:
        return
    assert len(run.image_shape) == 3
    assert 1 <= math.prod(run.image_shape) <= 201_326_592
    assert all(0 <= share <= 1 for share in run.accuracy.values())
    assert 0 <= run.seconds < math.inf
    encoded(run.to_json())
    TrainResult.of(run, skipped=True).data.properties()
    if run.encryption is not None:
        recorded = run.encryption
        trial(lambda: Encryption.from_json(recorded, "the run"))


@pytest.fixture(scope="module")
def dataset(place: Path) -> Dataset:
    return open_dataset(write_dataset(place / "data/toy", {"train": toy_images(40, 0)}))


@pytest.fixture(scope="module")
def finished(place: Path, dataset: Dataset) -> TrainSpec:
    """The spec of a run that has been trained."""
    spec = TrainSpec(dataset.directory, str(place / "runs/1"), epochs=1, recipe=Recipe(batch_size=16))
    fit(spec)
    return spec


@fuzz(40)
@given(data=st.data())
def test_a_runs_spec_is_sound_or_refused(finished: TrainSpec, data: st.DataObject) -> None:
    path = Path(finished.output, "spec.json")
    whole = path.read_bytes()
    try:
        path.write_bytes(data.draw(mutated_json(whole)))
        result = trial(lambda: fit(finished))
        assert result is None or result.skipped
    finally:
        path.write_bytes(whole)


@fuzz(30)
@given(line=st.integers(0, 2), data=st.data())
def test_damaged_epochs_are_trained_again(place: Path, line: int, data: st.DataObject) -> None:
    directory = place / "state"
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "checkpoints").mkdir(parents=True)
    state = RunState(directory)
    for epoch in (1, 2, 3):
        state.weights_path(epoch).touch()
    texts = [encoded(value) for value in LINES]
    texts[line] = data.draw(mutated_json(texts[line]))
    (directory / "metrics.jsonl").write_bytes(b"\n".join(texts) + b"\n")
    assert trial(state.recover) is not None
    assert state.history[:line] == LINES[:line] or len(state.history) < line
    if state.history:
        assert 1 <= best_epoch(state.history) <= 3
    again = RunState(directory)
    assert (again.recover(), again.history) == (len(state.history), state.history)


@fuzz(30)
@given(content=mutated(b"".join(encoded(line) + b"\n" for line in LINES)))
@example(content=b"\xff\xfe\n")
@example(content=b"[]\n")
@example(content=b"1" * (1 << 20))
def test_metrics_of_any_bytes_are_read_or_trained_again(place: Path, content: bytes) -> None:
    directory = place / "bytes"
    (directory / "checkpoints").mkdir(parents=True, exist_ok=True)
    (directory / "metrics.jsonl").write_bytes(content)
    assert trial(RunState(directory).recover) == 0


@fuzz(60)
@given(number=st.integers(0, 1), data=st.data())
def test_results_of_a_comparison_are_sound_or_refused(place: Path, number: int, data: st.DataObject) -> None:
    lines = [encoded(result.to_json()) for result in RESULTS]
    lines[number] = data.draw(mutated_json(lines[number]))
    (place / "results.jsonl").write_bytes(b"\n".join(lines))
    for result in trial(lambda: results.read(str(place / "results.jsonl"))) or []:
        assert result.trial.kind in KINDS
        assert 0 <= result.accuracy <= 1
        assert result.run == result.trial.directory


@fuzz(40)
@given(content=mutated_json(encoded(ATTACK.to_json())))
def test_the_result_of_an_attack_is_sound_or_refused(place: Path, dataset: Dataset, content: bytes) -> None:
    path = place / "attack.json"
    path.write_bytes(content)
    best = trial(lambda: restoring.attack(dataset, "no-keys", 1, str(path)))
    if best is not None:
        assert all(map(math.isfinite, (best.images, best.psnr, best.ssim, best.exact, best.floor)))


@fuzz(20)
@given(data=st.data())
def test_the_spec_of_a_comparison_is_sound_or_refused(place: Path, data: st.DataObject) -> None:
    spec = CompareSpec(ReadSpec("synthetic:10"), str(place / "compare"))
    path = place / "compare/spec.json"
    path.unlink(missing_ok=True)
    spec.claim("d" * 64)
    whole = path.read_bytes()
    path.write_bytes(data.draw(mutated_json(whole)))
    trial(lambda: spec.claim("d" * 64))


@fuzz(5)
@given(data=st.data(), within=st.booleans())
def test_weights_are_those_of_the_network_or_refused(
    finished: TrainSpec, place: Path, data: st.DataObject, within: bool
) -> None:
    """Archives changed as they are, and such whose HDF5 file was changed before it was packed."""
    run = dataclasses.replace(load_run(finished.output), directory=str(place))
    whole = Path(finished.output, "model.keras").read_bytes()
    if within:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            weights = archive.read("model.weights.h5")
        with zipfile.ZipFile(place / "model.keras", "w") as archive:
            archive.writestr("model.weights.h5", data.draw(mutated(weights)))
    else:
        (place / "model.keras").write_bytes(data.draw(mutated(whole)))
    model = network(finished.output)
    trial(lambda: run.load_weights(model))


@functools.cache
def network(directory: str) -> Any:
    """A run's network; its weights change, its structure doesn't."""
    return load_run(directory).load_model()
