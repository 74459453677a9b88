"""Carries attacks out and measures what they got back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lpe.pipeline.audit.quality import Quality, quality
from lpe.pipeline.audit.scene import Scene
from lpe.transforms import attacks
from lpe.transforms.attacks import Attack, MisfitError, Target, photographs

ADVERSARIES = ("ciphertext-only", "known-plaintext", "chosen-plaintext")
_COUNTS = {
    "ciphertext-only": (1, 3, 10, 30, 100, 300, 1000, 3000),
    "known-plaintext": (1, 2, 3, 5, 10, 20),
    "chosen-plaintext": (),
}
_SHOWN = 6
"""Held-out images that the report shows."""

Classify = Callable[[np.ndarray], np.ndarray]
"""uint8 [N,H,W,C] -> class of each image, int [N]."""


@dataclasses.dataclass(frozen=True)
class Result:
    """One attack on one encryption, measured on images that it did not learn from.

    Attributes:
      attack: its name.
      adversary: what it needs.
      images: how many ciphertexts, pairs or chosen images it had.
      seconds: learning and restoring the held-out images.
      quality: of what it restored.
      curve: the same for other numbers of images.
      restored: the first held-out images, restored. What the attack leaves open (`Attack.leaves_open`) is settled
        in its favour, here and in the figures: a person sees it at once.
    """

    attack: str
    adversary: str
    images: int
    seconds: float
    quality: Quality
    curve: tuple[tuple[int, Quality], ...]
    restored: np.ndarray


@dataclasses.dataclass(frozen=True)
class Audited:
    """All attacks on one encryption.

    Attributes:
      target: the encryption.
      results: of each attack.
      ciphertext: the raw ciphertext, taken as the image.
      floor: what a useless attack reaches: the images' mean colour everywhere.
      plain, shown: the first held-out images and their ciphertexts.
    """

    target: Target
    results: tuple[Result, ...]
    ciphertext: Quality
    floor: Quality
    plain: np.ndarray
    shown: np.ndarray

    def best(self, adversary: str) -> Result | None:
        """The attack of an adversary that got most back."""
        found = [result for result in self.results if result.adversary == adversary]
        return max(found, key=lambda result: (result.quality.psnr, -result.images), default=None)

    def to_json(self) -> dict[str, Any]:
        """This encryption's part of report.json; see DESIGN for the fields."""
        return {
            "cipher": self.target.cipher,
            "params": dict(self.target.params),
            "scope": self.target.scope,
            "ciphertext": self.ciphertext.to_json(),
            "attacks": [
                {
                    "name": result.attack,
                    "adversary": result.adversary,
                    "images": result.images,
                    **result.quality.to_json(),
                    "seconds": round(result.seconds, 2),
                    "floor": self.floor.to_json(),
                    "curve": [{"images": count, **each.to_json()} for count, each in result.curve],
                }
                for result in self.results
            ],
        }


def audit(
    scene: Scene,
    adversaries: Sequence[str],
    classify: Classify | None,
    more: Sequence[Attack] = (),
    note: Callable[[str], None] = lambda line: None,
) -> Audited:
    """Attacks one encryption in every way that is meant for it.

    Args:
      scene: the encryption, and images.
      adversaries: some of `ADVERSARIES`.
      classify: a classifier of plain images, for `Quality.agreement`.
      more: attacks besides those of `lpe.transforms.attacks`.
      note: told what is going on, a line at a time.
    """
    plain, cipher = scene.held_out
    truth = None if classify is None else classify(plain)

    def measure(estimate: np.ndarray) -> Quality:
        agreement = None if classify is None or truth is None else float((classify(estimate) == truth).mean())
        return quality(estimate, plain, agreement)

    mean = np.broadcast_to(plain.mean(axis=(0, 1, 2)).round().astype(np.uint8), plain.shape)
    results = []
    for attack in [*attacks.against(scene.target), *more]:
        if attack.adversary in adversaries:
            result = _carry_out(attack, scene, measure)
            results.append(result)
            note(
                f"{scene.target.cipher}, a key per {scene.target.scope}: {attack.name} got "
                f"{result.quality.psnr:.1f} dB, {result.quality.exact:.1%} exact, in {result.seconds:.1f} s"
            )
    return Audited(
        scene.target, tuple(results), measure(cipher), measure(mean), plain[:_SHOWN], cipher[:_SHOWN]
    )


def _carry_out(attack: Attack, scene: Scene, measure: Callable[[np.ndarray], Quality]) -> Result:
    curve = []
    counts = _counts(attack, scene)
    for count in counts:
        started = time.monotonic()
        try:
            recovery = attack.learn(scene.evidence(attack.adversary, count))
            restored, queries = recovery.restore(scene.held_out[1]), recovery.queries
        except MisfitError:
            # Nothing that the scheme could have given: there is nothing to recover.
            restored, queries = scene.held_out[1], 0
        seconds = time.monotonic() - started
        restored = _as_seen(attack, restored, scene.held_out[0])
        images = queries if attack.adversary == "chosen-plaintext" else count
        found = measure(restored)
        curve.append((images, found))
        if found.exact == 1:
            break  # more images would give no more
    return Result(
        attack.name, attack.adversary, images, seconds, found, tuple(curve), restored[:_SHOWN].copy()
    )


def _as_seen(attack: Attack, restored: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """What was restored, in the view that is nearest to the truth of those that the attack leaves open."""
    if attack.leaves_open == "mirror":
        return min(restored, restored[:, :, ::-1], key=lambda seen: _error(seen, plain).sum())
    if attack.leaves_open == "view":
        height, width, channels = plain.shape[1:]
        views = [
            photographs.view(restored, each) for each in photographs.all_views((height, width, channels))
        ]
        nearest = np.argmin([_error(seen, plain) for seen in views], axis=0)
        return np.stack([views[which][i] for i, which in enumerate(nearest)])
    return restored


def _error(estimate: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Squared error of each image, float64 [N]."""
    return ((estimate.astype(np.float64) - plain) ** 2).sum(axis=(1, 2, 3))


def _counts(attack: Attack, scene: Scene) -> list[int]:
    available = len(scene.plain)
    # With a key per image no image tells anything about another.
    if not attack.learns or scene.target.scope == "image" or attack.adversary == "chosen-plaintext":
        return [1]
    counts = [count for count in _COUNTS[attack.adversary] if count <= available]
    return counts if attack.adversary == "known-plaintext" else sorted({*counts, available})
