"""lpe run: the whole path in one work directory; each part is skipped if it is there already."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.cli.console import Report
from lpe.pipeline.encryption.metadata import register_run
from lpe.pipeline.engine.progress import Update as Progress
from lpe.pipeline.jobs import show
from lpe.pipeline.jobs.encrypt import encrypt
from lpe.pipeline.jobs.ingest import ingest
from lpe.pipeline.jobs.spec import CipherChoice, JobSpec
from lpe.pipeline.jobs.verify import verify
from lpe.pipeline.keystore import KeyRef, KeyStore
from lpe.pipeline.sources import open_source, split_uri
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.transforms.errors import DataError


@dataclasses.dataclass(frozen=True)
class DemoSpec:
    """What `lpe run` is told.

    Attributes:
      read: the images; a validation split is cut from train unless the source has one.
      work: the work directory.
      choice: the scheme.
      key: the key; the keyset is made if absent.
      beam: Beam's options.
      skip_bad_records: see `JobSpec`.
      model, epochs, seed: see `lpe train`.
      baseline: also train the same model on the plain images.
    """

    read: ReadSpec
    work: str
    choice: CipherChoice
    key: KeyRef
    beam: tuple[str, ...]
    skip_bad_records: bool
    model: str
    epochs: int
    seed: int
    baseline: bool


def run_demo(spec: DemoSpec, report: Report) -> dict[str, Any]:
    """Keys, ingest, encrypt, verify, grid, train and evaluate; returns what `--json` prints."""
    stages: dict[str, dict[str, Any]] = {}

    def stage(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        report.note(f"{name} …")
        started = time.monotonic()
        result = work()
        stages[name] = {"status": "ok", **result, "seconds": round(time.monotonic() - started, 3)}
        return stages[name]

    stage("keys", lambda: _keys(spec.key))
    plain = stage("ingest", lambda: _ingest(spec, report))["dataset"]
    name = storage.base_name(storage.parent(plain))
    home = storage.join(spec.work, "encrypted", name)
    encrypted = stage("encrypt", lambda: _encrypt(spec, report, plain, home))["dataset"]
    stage("verify", lambda: _verify(spec, encrypted, plain))
    stage("show", lambda: _show(spec, encrypted))
    split = "test" if "test" in stages["encrypt"]["splits"] else "validation"
    accuracy: dict[str, float | None] = {"encrypted": None, "plain": None}
    for kind, data in (("encrypted", encrypted), ("plain", plain)):
        if kind == "plain" and not spec.baseline:
            continue
        directory = storage.join(spec.work, "runs", kind)
        stage(f"train ({kind})", lambda data=data, to=directory: _train(spec, report, data, to))  # type: ignore[misc]
        if kind == "encrypted":
            _register(directory, spec.key.keystore)
        found = stage(f"evaluate ({kind})", lambda data=data, of=directory: _evaluate(of, data, split))  # type: ignore[misc]
        accuracy[kind] = found["accuracy"]
    return {"work": spec.work, "stages": stages, "accuracy": accuracy}


def _keys(key: KeyRef) -> dict[str, Any]:
    store = KeyStore(key.keystore)
    made = not store.exists(key.name)
    keys = store.create(key.name) if made else store.keys(key.name)
    return {
        "status": "ok" if made else "skipped",
        "keystore": key.keystore,
        "name": key.name,
        "keys": [dataclasses.asdict(info) for info in keys],
    }


def _ingest(spec: DemoSpec, report: Report) -> dict[str, Any]:
    if split_uri(spec.read.source)[0] == "dataset":
        return _ingested(spec.read)
    # Only looked at here: planning it takes a digest of all that it holds.
    with open_source(spec.read.source, spec.read.options) as source:
        name = source.info.name
        has_validation = source.info.splits.get("validation", 0) > 0
    read = spec.read
    if read.validation_fraction is None and not has_validation:
        read = dataclasses.replace(read, validation_fraction="0.1")
    with report.progress("ingest") as progress:
        job = _job(spec, read, storage.join(spec.work, "plain", name), progress)
        return ingest(job).to_json()


def _ingested(read: ReadSpec) -> dict[str, Any]:
    with open_plan(read) as source:
        assert source.dataset is not None
        splits = {split: info.summary() for split, info in source.dataset.splits.items()}
        return {"status": "skipped", "dataset": source.dataset.directory, "splits": splits, "bad_records": 0}


def _encrypt(spec: DemoSpec, report: Report, plain: str, home: str) -> dict[str, Any]:
    with report.progress("encrypt") as progress:
        job = _job(spec, ReadSpec(f"dataset:{plain}"), home, progress)
        return encrypt(job, spec.choice, spec.key).to_json()


def _job(spec: DemoSpec, read: ReadSpec, home: str, progress: Progress) -> JobSpec:
    return JobSpec(read, home, spec.beam, spec.skip_bad_records, progress)


def _verify(spec: DemoSpec, encrypted: str, plain: str) -> dict[str, Any]:
    found = verify(encrypted, spec.key.keystore, plain, spec.beam)
    if found.problems:
        raise DataError(found.problems[0])
    return found.to_json()


def _show(spec: DemoSpec, encrypted: str) -> dict[str, Any]:
    path = storage.join(spec.work, "grid.png")
    picture, columns = show.show_dataset(encrypted, spec.key.keystore, None, None, 10)
    show.save(picture, path)
    return {"output": path, "images": columns}


def _train(spec: DemoSpec, report: Report, data: str, output: str) -> dict[str, Any]:
    from lpe.train.loop import TrainSpec, fit  # noqa: PLC0415  (Keras is heavy, and an extra)
    from lpe.train.recipes import recipe, recipe_for  # noqa: PLC0415

    settings = TrainSpec(
        data=data,
        output=output,
        model=spec.model,
        epochs=spec.epochs,
        recipe=recipe(recipe_for(spec.model)),
        seed=spec.seed,
    )
    return fit(settings, progress=report.epoch)


def _register(run: str, keystore: str) -> None:
    """The model's predictions need its key: rotation must not destroy it."""
    from lpe.train.runs import load_run  # noqa: PLC0415

    described = load_run(run).encryption
    assert described is not None
    register_run(keystore, run, described)


def _evaluate(run: str, data: str, split: str) -> dict[str, Any]:
    from lpe.train.evaluate import evaluate  # noqa: PLC0415
    from lpe.train.runs import load_run  # noqa: PLC0415

    return evaluate(load_run(run), data, split=split)
