"""audit: attacks an encryption as adversaries would, and reports what they got back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lpe.pipeline import clock
from lpe.pipeline.audit import attacking, duration, experiment, learned, report
from lpe.pipeline.audit.attacking import ADVERSARIES, Classify
from lpe.pipeline.audit.experiment import Experiment
from lpe.pipeline.audit.report import AuditReport
from lpe.pipeline.audit.results import SchemeAudit
from lpe.pipeline.encryption.reduction import given_chain
from lpe.pipeline.engine.cores import usable_cores
from lpe.pipeline.engine.progress import Silent
from lpe.pipeline.jobs.audit_process import attack_scheme
from lpe.pipeline.jobs.side_by_side import SideBySide, nothing
from lpe.pipeline.sources.plan import ReadSpec
from lpe.train.predict import predictor
from lpe.train.runs import load_run
from lpe.transforms.attacks import Adversary, Target, all_attacks
from lpe.transforms.ciphers.registry import scheme
from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import image_shape_of
from lpe.transforms.keyed import Scope

_WORTH_PROCESSES = 8.0
"""Seconds of attacks that are worth more processes, which take half a second each to start."""


@dataclasses.dataclass(frozen=True)
class AuditSpec:
    """What to attack, and how: an encrypted dataset, or plain images that are encrypted with fresh keys.

    Attributes:
      output: the directory of the report.
      dataset: an encrypted dataset's home or one of its versions; None where `read` is given.
      keystore: where the dataset's key is: its images are decrypted to measure by, no attack is given the key.
      against: the plain dataset that a reduced one was made from, to measure by.
      read: plain images; None where `dataset` is given.
      reduction: with `read`: what is done to images before they are encrypted, as `lpe.transforms.reductions.parse`
        reads it.
      ciphers: with `read`: the schemes.
      params: with `read`: public parameters of the schemes.
      scopes: with `read`: one key for all images (`dataset`), or one per image (`image`), or both.
      adversaries: who attacks.
      images: how many images are taken, at most; attackers learn from four of five.
      classifier: the directory of a training run on plain images, which says what it takes restored images for;
        None for none.
      learned: also train networks to invert the encryption.

    Raises:
      UsageError: both or neither of `dataset` and `read`, a dataset without a key store, or an option of the other.
    """

    output: str
    dataset: str | None = None
    keystore: str | None = None
    against: str | None = None
    read: ReadSpec | None = None
    reduction: str = ""
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
        if self.dataset is None and self.against is not None:
            raise UsageError("--against goes with an encrypted dataset; leave it out")
        if self.read is None and self.reduction:
            raise UsageError("a dataset is audited with the reduction that it has; leave out --reduce")


def audit(
    spec: AuditSpec,
    note: Callable[[str], None] = lambda line: None,
    status: Callable[[str], None] = lambda line: None,
) -> AuditReport:
    """Attacks each encryption, several at a time where that pays, and writes report.json and report.html.

    Schemes are attacked in processes of their own where there are cores enough, so that a script calls this under
    `if __name__ == "__main__":`.

    Args:
      spec: what to attack.
      note: called with a line before the attacks, which says about how long they take, and one after each.
      status: called with what goes on now.

    Raises:
      DataError: the images or the dataset are missing, damaged or not what an audit needs.
      CipherError: an unknown scheme or parameter, or images of a shape that a scheme does not admit.
      KeyStoreError: the dataset's key cannot be had.
      UsageError: the classifier was trained on encrypted images, or an extra (`audit`, `train`) is not installed.
    """
    status("reading")
    adversaries: tuple[Adversary, ...] = (*spec.adversaries, "learned") if spec.learned else spec.adversaries
    if spec.read is None:
        assert spec.dataset is not None
        assert spec.keystore is not None
        setup = experiment.experiment_on_dataset(spec.dataset, spec.keystore, spec.images, spec.against)
        images, schemes = (
            setup.images,
            _in_turn(spec, [setup.target], lambda _: setup, adversaries, note, status),
        )
    else:
        reduction = given_chain(spec.reduction)
        plain, others = experiment.sample(spec.read, spec.images)
        targets = [
            experiment.target_on_scheme(image_shape_of(plain), name, spec.params, scope, reduction)
            for name in spec.ciphers
            for scope in spec.scopes
            if name != "plain" or scope == spec.scopes[0]  # which has no key
        ]
        images, schemes = len(plain), _on_fresh_keys(spec, targets, plain, others, adversaries, note, status)
    source = spec.dataset if spec.read is None else spec.read.source
    result = AuditReport(spec.output, str(source), images, schemes)
    report.write(result)
    return result


def _on_fresh_keys(
    spec: AuditSpec,
    targets: Sequence[Target],
    images: np.ndarray,
    others: np.ndarray,
    adversaries: Sequence[Adversary],
    note: Callable[[str], None],
    status: Callable[[str], None],
) -> tuple[SchemeAudit, ...]:
    """The audits of schemes in the targets' order."""
    seconds = [duration.attack_seconds(target, len(images), adversaries) for target in targets]
    processes = min(usable_cores(), len(targets))
    # A network takes all cores itself, and what was registered in this process another does not know.
    alone = spec.learned or spec.classifier is not None or not _all_built_in(spec.ciphers)
    if alone or processes < 2 or sum(seconds) < _WORTH_PROCESSES:
        return _in_turn(
            spec,
            targets,
            lambda target: experiment.experiment_on_scheme(
                images, target.cipher, target.params, target.scope, target.reduction, others
            ),
            adversaries,
            note,
            status,
        )
    note(_announcement(targets, len(images), sum(seconds) / processes))
    with SideBySide[SchemeAudit](processes, nothing, _Screen(note, status)) as beside:
        # The longest first, so that none is left over at the end.
        for at in sorted(range(len(targets)), key=lambda at: -seconds[at]):
            target = targets[at]
            arguments = (target.cipher, dict(spec.params), target.scope, target.reduction, adversaries)
            beside.submit(_title(target), attack_scheme, images, others, *arguments)
        return tuple(beside.result(_title(target)) for target in targets)


def _in_turn(
    spec: AuditSpec,
    targets: Sequence[Target],
    experiment_on: Callable[[Target], Experiment],
    adversaries: Sequence[Adversary],
    note: Callable[[str], None],
    status: Callable[[str], None],
) -> tuple[SchemeAudit, ...]:
    """The audits of targets, one after another, in this process."""
    classify = _classifier(spec.classifier) if spec.classifier is not None else None
    done: list[SchemeAudit] = []
    for target in targets:
        setup, title = experiment_on(target), _title(target)
        if not done:
            seconds = sum(duration.attack_seconds(each, setup.images, adversaries) for each in targets)
            note(_announcement(targets, setup.images, seconds))
        done.append(
            attacking.run_attacks(
                setup,
                adversaries,
                classify,
                learned.attacks_on(setup) if spec.learned else (),
                lambda line, title=title: note(f"{title}: {line}"),  # type: ignore[misc]
                lambda line, title=title: status(f"{title}: {line}"),  # type: ignore[misc]
            )
        )
    return tuple(done)


@dataclasses.dataclass(frozen=True)
class _Screen(Silent):
    """Where processes' lines go."""

    take_note: Callable[[str], None]
    take_status: Callable[[str], None]

    def note(self, line: str) -> None:
        """Passes the line on."""
        self.take_note(line)

    def status(self, line: str) -> None:
        """Passes the line on."""
        self.take_status(line)


def _all_built_in(names: Sequence[str]) -> bool:
    """Whether these schemes, and all attacks, are there in every process that imports this package."""
    made = [*map(scheme, names), *map(type, all_attacks())]
    return all(each.__module__.startswith("lpe.transforms.") for each in made)


def _title(target: Target) -> str:
    reduced = f"{target.reduction}, " if target.reduction else ""
    return f"{reduced}{target.cipher}, a key per {target.scope}"


def _announcement(targets: Sequence[Target], images: int, seconds: float) -> str:
    shape = "×".join(map(str, targets[0].plain_shape or targets[0].image_shape))
    return (
        f"{clock.about(seconds)} by what other machines took: attacks on {len(targets)} "
        f"encryption{'s' if len(targets) > 1 else ''} of {images:,} images of {shape}"
    )


def _classifier(directory: str) -> Classify:
    run = load_run(directory)
    if run.encryption is not None:
        raise UsageError(
            f"--classifier {directory}: was trained on encrypted images; name a run on plain ones"
        )
    probabilities = predictor(run)
    return lambda images: probabilities(images).argmax(axis=1)
