"""Attacks carried out on an experiment, and measured."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from lpe.pipeline.audit.bound import bound
from lpe.pipeline.audit.experiment import Experiment
from lpe.pipeline.audit.quality import Quality, measure
from lpe.pipeline.audit.reidentifying import Reidentifying
from lpe.pipeline.audit.results import AttackResult, SchemeAudit
from lpe.transforms import attacks
from lpe.transforms.attacks import Adversary, Attack, MisfitError, Target, photographs
from lpe.transforms.attacks.enlarged import enlarged
from lpe.transforms.attacks.linear import Linear
from lpe.transforms.image_shape import image_shape_of

ADVERSARIES: tuple[Adversary, ...] = ("ciphertext-only", "known-plaintext", "chosen-plaintext")
_COUNTS: dict[Adversary, tuple[int, ...]] = {
    "ciphertext-only": (1, 3, 10, 30, 100, 300, 1000, 3000),
    "known-plaintext": (1, 2, 3, 5, 10, 20),
}
_SHOWN = 6
"""Held-out images that the report shows."""

Classify = Callable[[np.ndarray], np.ndarray]
"""uint8 [N, H, W, C] -> class of each image, int [N]."""
_Measure = Callable[[np.ndarray], Quality]
"""Compares estimates of the held-out images, uint8 [N, H, W, C], or of reduced ones, with them."""


def run_attacks(
    experiment: Experiment,
    adversaries: Sequence[Adversary],
    classify: Classify | None = None,
    more: Sequence[Attack] = (),
    note: Callable[[str], None] = lambda line: None,
    status: Callable[[str], None] = lambda line: None,
) -> SchemeAudit:
    """Attacks one encryption in every way that is meant for it.

    Args:
      experiment: the encryption, and images.
      adversaries: those who attack.
      classify: a classifier of plain images, for `Quality.agreement`.
      more: attacks besides those of `lpe.transforms.attacks`.
      note: called with one line after each attack.
      status: called with what goes on now: each attack, and how many images it has.

    Raises:
      UsageError: scikit-image is not installed.
    """
    plain, encrypted = experiment.held_out
    shape = image_shape_of(plain)
    classes = None if classify is None else classify(plain)

    def compared(estimate: np.ndarray) -> Quality:
        exact_reduced = agreement = None
        if experiment.target.reduction and estimate.shape == experiment.held_out_reduced.shape:
            exact_reduced = float((estimate == experiment.held_out_reduced).mean())
        estimate = enlarged(estimate, shape)
        if classify is not None:
            agreement = float((classify(estimate) == classes).mean())
        return dataclasses.replace(measure(estimate, plain, agreement), exact_reduced=exact_reduced)

    mean_colour = np.broadcast_to(plain.mean(axis=(0, 1, 2)).round().astype(np.uint8), plain.shape)
    finding = Reidentifying(experiment)
    results: list[AttackResult] = []
    best: dict[Adversary, tuple[AttackResult, np.ndarray]] = {}
    for attack in [*attacks.against(experiment.target), *more]:
        if attack.adversary in adversaries:
            result, restored = _run_attack(attack, experiment, compared, finding, status)
            results.append(result)
            if attack.adversary not in best or result.quality.psnr > best[attack.adversary][0].quality.psnr:
                best[attack.adversary] = result, restored
            note(_got(result))
    reduction = experiment.target.reduction
    if reduction and experiment.target.cipher != "plain":
        status(f"{Linear.name} after the best attacks")
        for result in _and_linear(best, experiment, compared):
            results.append(result)
            note(_got(result))
    status(f"finding the photographs among {len(experiment.candidates):,}")
    return SchemeAudit(
        target=experiment.target,
        results=tuple(results),
        ciphertext=compared(encrypted),
        floor=compared(mean_colour),
        plain=plain[:_SHOWN],
        encrypted=enlarged(encrypted[:_SHOWN], shape),
        without_attack=finding.without_attack,
        reidentification=finding.best,
        public=len(experiment.plain) if reduction else 0,
        bound=bound(reduction, experiment.plain) if reduction else None,
    )


def _got(result: AttackResult) -> str:
    quality = result.quality
    return f"{result.attack} got {quality.psnr:.1f} dB, {quality.exact:.1%} exact, in {result.seconds:.1f} s"


def _and_linear(
    best: Mapping[Adversary, tuple[AttackResult, np.ndarray]], experiment: Experiment, compared: _Measure
) -> Iterator[AttackResult]:
    """The linear estimate of images from the reduced ones that each adversary's best attack restored."""
    started = time.monotonic()
    recovery = Linear().learn(experiment.evidence("ciphertext-only", 0)) if best else None
    learning = time.monotonic() - started
    for result, restored in best.values():
        if recovery is None or restored.shape != experiment.held_out_reduced.shape:
            continue
        started = time.monotonic()
        estimate = recovery.restore(restored)
        quality = compared(estimate)
        yield AttackResult(
            f"{result.attack} + {Linear.name}",
            result.adversary,
            result.images,
            result.seconds + learning + time.monotonic() - started,
            quality,
            ((result.images, quality),),
            estimate[:_SHOWN].copy(),
        )


def _run_attack(
    attack: Attack,
    experiment: Experiment,
    compared: _Measure,
    finding: Reidentifying,
    status: Callable[[str], None],
) -> tuple[AttackResult, np.ndarray]:
    """Its result, and all that it restored."""
    reduced, (plain, encrypted) = experiment.held_out_reduced, experiment.held_out
    curve = []
    for count in counts(attack, experiment.target, len(experiment.plain)):
        status(f"{attack.name} with {count} image{'s' if count > 1 else ''}")
        started = time.monotonic()
        try:
            recovery = attack.learn(experiment.evidence(attack.adversary, count))
            restored, queries = recovery.restore(encrypted), recovery.queries
        except MisfitError:
            # Nothing that the scheme could have given: there is nothing to recover.
            restored, queries = encrypted, 0
        seconds = time.monotonic() - started
        found, restored = restored, _nearest_view(attack, restored, reduced)
        images = queries if attack.adversary == "chosen-plaintext" else count
        quality = compared(restored)
        curve.append((images, quality))
        if np.array_equal(restored, reduced):
            break  # more images would give no more
    result = AttackResult(
        attack.name,
        attack.adversary,
        images,
        seconds,
        quality,
        tuple(curve),
        enlarged(restored[:_SHOWN], image_shape_of(plain)).copy(),
        finding.by_attack(attack, found),
    )
    return result, restored


def _nearest_view(attack: Attack, restored: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """What was restored, in the view nearest to the truth among those that the attack leaves open."""
    if attack.leaves_open == "negative":
        return min(restored, 255 - restored, key=lambda view: _error(view, plain).sum())
    if attack.leaves_open == "mirror":
        return min(restored, restored[:, :, ::-1], key=lambda view: _error(view, plain).sum())
    if attack.leaves_open == "view":
        views = [photographs.view(restored, view) for view in photographs.all_views(image_shape_of(plain))]
        nearest = np.argmin([_error(view, plain) for view in views], axis=0)
        return np.stack([views[which][i] for i, which in enumerate(nearest)])
    return restored


def _error(estimate: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Squared error of each image, int64 [N]."""
    difference = estimate.astype(np.int32) - plain
    return np.asarray((difference * difference).sum(axis=(1, 2, 3), dtype=np.int64))


def counts(attack: Attack, target: Target, available: int) -> list[int]:
    """The numbers of images, of those available, to try an attack with: at least one, fewest first."""
    # With a key per image no image tells anything about another.
    if not attack.learns or target.scope == "image" or attack.adversary == "chosen-plaintext":
        return [1]
    tried = [count for count in _COUNTS[attack.adversary] if count <= available]
    return tried if attack.adversary == "known-plaintext" else sorted({*tried, available})
