"""audit: attacks an encryption as adversaries would, and reports what they got back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from lpe.pipeline import clock
from lpe.pipeline.audit import attacking, duration, experiment, learned, report
from lpe.pipeline.audit.attacking import ADVERSARIES, Classify
from lpe.pipeline.audit.experiment import Experiment
from lpe.pipeline.audit.report import AuditReport
from lpe.pipeline.sources.plan import ReadSpec
from lpe.train.predict import predictor
from lpe.train.runs import load_run
from lpe.transforms.attacks import Adversary
from lpe.transforms.errors import UsageError
from lpe.transforms.keyed import Scope


@dataclasses.dataclass(frozen=True)
class AuditSpec:
    """What to attack, and how: an encrypted dataset, or plain images that are encrypted with fresh keys.

    Attributes:
      output: the directory of the report.
      dataset: an encrypted dataset's home or one of its versions; None where `read` is given.
      keystore: where the dataset's key is: its images are decrypted to measure by, no attack is given the key.
      read: plain images; None where `dataset` is given.
      ciphers: with `read`: the schemes.
      params: with `read`: public parameters of the schemes.
      scopes: with `read`: one key for all images (`dataset`), or one per image (`image`), or both.
      adversaries: who attacks.
      images: how many images are taken, at most; attackers learn from four of five.
      classifier: the directory of a training run on plain images, which says what it takes restored images for;
        None for none.
      learned: also train networks to invert the encryption.

    Raises:
      UsageError: both or neither of `dataset` and `read`, or a dataset without a key store.
    """

    output: str
    dataset: str | None = None
    keystore: str | None = None
    read: ReadSpec | None = None
    ciphers: tuple[str, ...] = ("lpe-100",)
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scopes: tuple[Scope, ...] = ("dataset", "image")
    adversaries: tuple[Adversary, ...] = ADVERSARIES
    images: int = 500
    classifier: str | None = None
    learned: bool = False

    def __post_init__(self) -> None:
        if (self.dataset is None) == (self.read is None):
            raise UsageError("name either an encrypted dataset or a --source of plain images")
        if self.dataset is not None and self.keystore is None:
            raise UsageError(
                "auditing an encrypted dataset needs its key, to know what is true; pass --keystore"
            )


def audit(spec: AuditSpec, note: Callable[[str], None] = lambda line: None) -> AuditReport:
    """Attacks each encryption, and writes report.json and report.html.

    Args:
      spec: what to attack.
      note: called with a line before the attacks, which says about how long they take, and one after each.

    Raises:
      DataError: the images or the dataset are missing, damaged or not what an audit needs.
      CipherError: an unknown scheme or parameter, or images of a shape that a scheme does not admit.
      KeyStoreError: the dataset's key cannot be had.
      UsageError: the classifier was trained on encrypted images, or an extra (`audit`, `train`) is not installed.
    """
    experiments = _experiments(spec)
    classify = _classifier(spec.classifier) if spec.classifier is not None else None
    adversaries: tuple[Adversary, ...] = (*spec.adversaries, "learned") if spec.learned else spec.adversaries
    note(_announcement(experiments, adversaries))
    schemes = tuple(
        attacking.run_attacks(
            setup, adversaries, classify, learned.attacks_on(setup) if spec.learned else (), note
        )
        for setup in experiments
    )
    source = spec.dataset if spec.read is None else spec.read.source
    result = AuditReport(spec.output, str(source), experiments[0].images, schemes)
    report.write(result)
    return result


def _announcement(experiments: Sequence[Experiment], adversaries: Sequence[Adversary]) -> str:
    seconds = sum(duration.attack_seconds(setup, adversaries) for setup in experiments)
    shape = "×".join(map(str, experiments[0].target.image_shape))
    return (
        f"{clock.about(seconds)} by what other machines took: attacks on {len(experiments)} "
        f"encryption{'s' if len(experiments) > 1 else ''} of {experiments[0].images:,} images of {shape}"
    )


def _experiments(spec: AuditSpec) -> list[Experiment]:
    if spec.read is None:
        assert spec.dataset is not None
        assert spec.keystore is not None
        return [experiment.experiment_on_dataset(spec.dataset, spec.keystore, spec.images)]
    images = experiment.sample(spec.read, spec.images)
    return [
        experiment.experiment_on_scheme(images, name, spec.params, scope)
        for name in spec.ciphers
        for scope in spec.scopes
        if name != "plain" or scope == spec.scopes[0]  # which has no key
    ]


def _classifier(directory: str) -> Classify:
    run = load_run(directory)
    if run.encryption is not None:
        raise UsageError(
            f"--classifier {directory}: was trained on encrypted images; name a run on plain ones"
        )
    probabilities = predictor(run)
    return lambda images: probabilities(images).argmax(axis=1)
