"""A comparison carried out: datasets, attacks, networks. Each part is skipped if it is there already."""

from __future__ import annotations

from lpe.pipeline import storage
from lpe.pipeline.compare import duration, report, restoring, results, table
from lpe.pipeline.compare.networks import RESULTS_FILE, Networks
from lpe.pipeline.compare.report import Comparison
from lpe.pipeline.compare.restoring import BestAttack
from lpe.pipeline.compare.schemes import PLAIN, Scheme
from lpe.pipeline.compare.trials import CompareSpec, Trial, trials
from lpe.pipeline.dataset import Dataset, committed_versions, open_dataset
from lpe.pipeline.engine import runners
from lpe.pipeline.engine.progress import Progress, Silent
from lpe.pipeline.jobs.decrypt import decrypt
from lpe.pipeline.jobs.encrypt import encrypt
from lpe.pipeline.jobs.ingest import ingest_with_validation
from lpe.pipeline.jobs.spec import CipherChoice, JobSpec
from lpe.pipeline.keystore import KeyRef, KeyStore
from lpe.pipeline.seal.opening import opener_if_sealed
from lpe.pipeline.sources import split_uri
from lpe.pipeline.sources.plan import ReadSpec, check_options, plan_dataset
from lpe.train.versions import open_version
from lpe.transforms.errors import DataError

_KEY = "comparison"
_SILENT: Progress = Silent()


def compare(spec: CompareSpec, progress: Progress = _SILENT) -> Comparison:
    """Encrypts, attacks, trains and evaluates; writes report.json, report.html and the figures.

    One line in `results.jsonl` for each finished network: a comparison that was killed goes on where it stopped.
    Networks are trained in processes of their own, so that a script calls this under `if __name__ == "__main__":`.

    Args:
      spec: what to compare.
      progress: where progress is reported.

    Raises:
      DataError: the work directory is another comparison's, the images differ in shape, there is nothing to test on,
        or the source is sealed and there is no data key.
      CipherError: a scheme does not admit the images' shape.
      KeyStoreError: the data key of a sealed source is missing, or another dataset's.
      UsageError: the runner would not wait for jobs, or an extra (`audit`, `train`) is not installed.
    """
    runners.check_waited_for(runners.options(spec.beam), "compare")
    _check_source(spec)
    spec.claim()
    keystore = storage.join(spec.work, "keys")
    if not KeyStore(keystore).exists(_KEY):
        KeyStore(keystore).create(_KEY)
    source = _ingest(spec, progress)
    spec.claim(open_dataset(source).digest())
    _announce(spec, progress, open_dataset(source))
    encrypted = {scheme: _encrypt(spec, progress, source, keystore, scheme) for scheme in spec.schemes}
    plain = encrypted[PLAIN]
    split = "test" if "test" in plain.splits else "validation"
    if split not in plain.splits:
        raise DataError(f"{spec.read.source}: no test or validation images to compare accuracies on")
    best_attacks: dict[Scheme, BestAttack] = {}
    restored: dict[Scheme, Dataset] = {}
    with Networks(spec, progress, split) as networks:
        first = [trial for trial in trials(spec, frozenset()) if trial.seed == 0]
        networks.begin((trial, encrypted[trial.scheme]) for trial in first)  # while attacks are made
        originals = _originals(spec, source, keystore, plain) if spec.controls else None
        for scheme, data in encrypted.items():
            if scheme == PLAIN:
                continue
            best_attacks[scheme] = _attack(spec, progress, keystore, scheme, data, originals)
            # Reduced images are images: there is nothing to decipher before a network can learn from them.
            if not scheme.reduction and best_attacks[scheme].attack is not None:
                restored[scheme] = _restore(spec, progress, keystore, scheme, data, best_attacks[scheme])
        exact = {scheme for scheme, data in restored.items() if data.digest() == plain.digest()}
        planned = trials(spec, frozenset(restored) - exact)
        networks.begin(
            (trial, (restored if trial.kind == "restored" else encrypted)[trial.scheme]) for trial in planned
        )
        finished = networks.results(planned)
    counts = {name: plain.splits[name].examples for name in ("train", split)}
    counts["train"] = min(counts["train"], spec.images or counts["train"])
    class_names = open_dataset(source).class_names
    rows = table.rows(spec.schemes, class_names, finished, best_attacks, exact, counts[split])
    comparison = Comparison(spec, source, counts, rows)
    report.write(comparison)
    return comparison


def _check_source(spec: CompareSpec) -> None:
    """Refuses, before anything is begun, a dataset that is encrypted, or sealed and does not open."""
    check_options(spec.read)
    kind, place = split_uri(spec.read.source)
    if kind == "dataset":
        data = open_version(place)
        opener = opener_if_sealed(data, spec.read.data_key)
        if data.encrypted:
            plan_dataset(data, opener).require_plain("decrypt it first")


def _announce(spec: CompareSpec, progress: Progress, plain: Dataset) -> None:
    """Notes about how long the networks take that are not trained yet, if attacks on all schemes restore something."""
    shape, train = plain.image_shape, plain.splits.get("train")
    if shape is not None and train is not None:  # what cannot be trained on is refused in its place
        known = _known_trials(spec)
        restored = frozenset(scheme for scheme in spec.schemes if scheme.cipher != "plain")
        networks = [trial for trial in trials(spec, restored) if trial not in known]
        images = min(train.examples, spec.images or train.examples)
        progress.note(duration.announcement(spec, networks, images, shape))


def _known_trials(spec: CompareSpec) -> set[Trial]:
    """The networks that are trained and measured already."""
    return {result.trial for result in results.read(storage.join(spec.work, RESULTS_FILE))}


def _ingest(spec: CompareSpec, progress: Progress) -> str:
    """The plain dataset's directory."""
    kind, place = split_uri(spec.read.source)
    if kind == "dataset":
        return open_version(place).directory
    root = storage.join(spec.work, "plain")
    return ingest_with_validation(spec.read, root, spec.beam, progress).dataset.directory


def _begin(progress: Progress, step: str) -> None:
    progress.note(f"{step} …")
    progress.status(step)


def _encrypt(spec: CompareSpec, progress: Progress, source: str, keystore: str, scheme: Scheme) -> Dataset:
    _begin(progress, f"{scheme.title}: {'encrypting' if scheme.cipher != 'plain' else 'writing'}")
    home = storage.join(spec.work, "encrypted", scheme.folder, storage.base_name(storage.parent(source)))
    read = ReadSpec(f"dataset:{source}", data_key=spec.read.data_key)
    choice = CipherChoice(scheme.cipher, reduction=scheme.reduction)
    return encrypt(JobSpec(read, home, spec.beam), choice, KeyRef(keystore, _KEY), spec.augmentation).dataset


def _originals(spec: CompareSpec, source: str, keystore: str, plain: Dataset) -> str:
    """The directory of a dataset with the images as they were, unsealed."""
    if spec.read.data_key is None:
        return source
    home = storage.join(spec.work, "plain", plain.name)
    job = JobSpec(ReadSpec(f"dataset:{plain.directory}"), home, spec.beam)
    return decrypt(job, keystore).dataset.directory


def _attack(
    spec: CompareSpec,
    progress: Progress,
    keystore: str,
    scheme: Scheme,
    data: Dataset,
    originals: str | None,
) -> BestAttack:
    """The best attack with what is released alone."""
    _begin(progress, f"{scheme.title}: attacking")
    path = storage.join(spec.work, "attacks", f"{scheme.folder}.json")
    return restoring.attack(data, keystore, spec.audit_images, path, originals if scheme.reduction else None)


def _restore(
    spec: CompareSpec, progress: Progress, keystore: str, scheme: Scheme, data: Dataset, best: BestAttack
) -> Dataset:
    """The dataset that an attack restores."""
    home = storage.join(spec.work, "restored", scheme.folder, data.name)
    if committed_versions(home):
        return open_dataset(home)
    _begin(progress, f"{scheme.title}: restoring")
    job = JobSpec(ReadSpec(f"dataset:{data.directory}"), home, spec.beam)
    return restoring.restore(job, keystore, spec.audit_images, best)
