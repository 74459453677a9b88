"""Carries a comparison out: datasets, attacks, networks. Each part is skipped if it is there already."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.cli.console import Report
from lpe.pipeline.compare import restoring
from lpe.pipeline.compare.restoring import Breach
from lpe.pipeline.compare.trials import CompareSpec, Trial, trials
from lpe.pipeline.dataset import Dataset, committed_versions, open_dataset
from lpe.pipeline.jobs.encrypt import encrypt
from lpe.pipeline.jobs.ingest import ingest
from lpe.pipeline.jobs.spec import CipherChoice, JobSpec
from lpe.pipeline.keystore import KeyRef, KeyStore
from lpe.pipeline.sources import open_source, split_uri
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms.errors import DataError

RESULTS_FILE = "results.jsonl"
_KEY = "comparison"


@dataclasses.dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Attributes:
      spec: what was asked for.
      plain: the plain dataset.
      counts: images of each split that a network is trained or measured on.
      results: a mapping for each network: the fields of `Trial`, and `accuracy` (0..1), `epochs`, `seconds`.
      breaches: the best ciphertext-only attack on each scheme but `plain`.
      exact: schemes whose images an attack restored without any difference.
    """

    spec: CompareSpec
    plain: Dataset
    counts: dict[str, int]
    results: list[dict[str, Any]]
    breaches: dict[str, Breach]
    exact: frozenset[str]


def compare(spec: CompareSpec, report: Report) -> Compared:
    """Encrypts, attacks, trains and evaluates; one line in `results.jsonl` for each finished network.

    Raises:
      DataError: the work directory is another comparison's, the images differ in shape, or there is nothing to test on.
    """
    spec.claim()
    keystore = storage.join(spec.work, "keys")
    if not KeyStore(keystore).exists(_KEY):
        KeyStore(keystore).create(_KEY)
    source = _ingested(spec, report)
    spec.claim(open_dataset(source).digest())
    encrypted = {name: _encrypt(spec, report, source, keystore, name) for name in spec.ciphers}
    plain = encrypted["plain"]
    split = "test" if "test" in plain.splits else "validation"
    if split not in plain.splits:
        raise DataError(f"{spec.read.source}: no test or validation images to compare accuracies on")
    breaches: dict[str, Breach] = {}
    datasets: dict[str, Dataset] = {}
    exact: set[str] = set()
    for name, data in encrypted.items():
        if name != "plain":
            breaches[name], restored = _attack(spec, report, keystore, name, data)
            if restored is not None and restored.digest() == plain.digest():
                exact.add(name)
            elif restored is not None:
                datasets[name] = restored
    planned = trials(spec, frozenset(datasets))
    results = []
    for number, trial in enumerate(planned, 1):
        data = datasets[trial.cipher] if trial.kind == "restored" else encrypted[trial.cipher]
        result = _train(spec, report, trial, data, split)
        results.append(result)
        report.note(
            f"[{number}/{len(planned)}] {_said(trial)}, seed {trial.seed}: {result['accuracy']:.1%} "
            f"({result['seconds']:.0f} s)"
        )
    counts = {name: plain.splits[name].examples for name in ("train", split)}
    counts["train"] = min(counts["train"], spec.images or counts["train"])
    return Compared(spec, open_dataset(source), counts, results, breaches, frozenset(exact))


def _said(trial: Trial) -> str:
    return f"{trial.cipher}, {trial.kind}" + (f" {trial.front_end}" if trial.kind == "front end" else "")


def _ingested(spec: CompareSpec, report: Report) -> str:
    """The plain dataset's directory."""
    kind, place = split_uri(spec.read.source)
    if kind == "dataset":
        return open_dataset(place).directory
    with open_source(spec.read.source, spec.read.options) as source:
        name, splits = source.info.name, source.info.splits
    read = spec.read
    if read.validation_fraction is None and not splits.get("validation", 0):
        read = dataclasses.replace(read, validation_fraction="0.1")
    with report.progress("ingest") as progress:
        job = JobSpec(read, storage.join(spec.work, "plain", name), spec.beam, progress=progress)
        return ingest(job).dataset.directory


def _encrypt(spec: CompareSpec, report: Report, source: str, keystore: str, name: str) -> Dataset:
    report.note(f"{name}: encrypting …")
    home = storage.join(spec.work, "encrypted", name, storage.base_name(storage.parent(source)))
    job = JobSpec(ReadSpec(f"dataset:{source}"), home, spec.beam)
    return encrypt(job, CipherChoice(name), KeyRef(keystore, _KEY), spec.augmentation).dataset


def _attack(
    spec: CompareSpec, report: Report, keystore: str, name: str, data: Dataset
) -> tuple[Breach, Dataset | None]:
    """The best attack with ciphertexts alone, and the dataset that it restores; None if there is no attack."""
    report.note(f"{name}: attacking …")
    path = storage.join(spec.work, "attacks", f"{name}.json")
    breach = restoring.attack(data, keystore, spec.audit_images, path)
    if breach.attack is None:
        return breach, None
    home = storage.join(spec.work, "restored", name, data.name)
    if committed_versions(home):
        return breach, open_dataset(home)
    report.note(f"{name}: restoring …")
    job = JobSpec(ReadSpec(f"dataset:{data.directory}"), home, spec.beam)
    return breach, restoring.restore(job, keystore, spec.audit_images, breach)


def _train(spec: CompareSpec, report: Report, trial: Trial, data: Dataset, split: str) -> dict[str, Any]:
    path = storage.join(spec.work, RESULTS_FILE)
    asked = dataclasses.asdict(trial)
    for line in _lines(path):
        if {key: line.get(key) for key in asked} == asked:
            return line
    from lpe.train.evaluate import evaluate  # noqa: PLC0415  (Keras is heavy, and an extra)
    from lpe.train.loop import TrainSpec, fit  # noqa: PLC0415
    from lpe.train.runs import load_run  # noqa: PLC0415

    directory = storage.join(spec.work, trial.place)
    run = fit(
        TrainSpec(
            data=data.directory,
            output=directory,
            model=spec.model,
            front_end=trial.front_end,
            epochs=spec.epochs,
            recipe=spec.recipe,
            precision=spec.precision,
            seed=trial.seed,
            images=spec.images,
        ),
        progress=report.epoch,
    )
    accuracy = evaluate(load_run(directory), data.directory, split).accuracy
    result = {
        **asked,
        "accuracy": accuracy,
        "epochs": spec.epochs,
        "seconds": run.seconds,
        "run": trial.place,
    }
    lines = [*_lines(path), result]
    storage.write_atomic(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
    return result


def _lines(path: str) -> list[dict[str, Any]]:
    if not storage.exists(path):
        return []
    try:
        return [json.loads(line) for line in storage.read_bytes(path).decode().splitlines()]
    except ValueError as error:
        raise DataError(
            f"{path}: damaged ({error}); delete it: finished networks are only measured again"
        ) from error
