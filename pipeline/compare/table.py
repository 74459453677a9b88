"""Table of a comparison: each scheme's accuracies, what they lose against plain images, and what attacks restore."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence, Set
from typing import Any

from lpe.pipeline.audit.quality import MAX_PSNR
from lpe.pipeline.compare.restoring import BestAttack
from lpe.pipeline.compare.results import TrialResult
from lpe.pipeline.compare.trials import KINDS, Kind
from lpe.train import front_ends

PAPER_GAP = 7.11
"""Points that the paper's own scheme loses against plain images (Ahmad and Shin, abstract)."""


@dataclasses.dataclass(frozen=True)
class Published:
    """An accuracy from the literature: ShakeDrop and PyramidNet, 300 epochs, 50,000 images of CIFAR-10.

    Attributes:
      accuracy: in percent.
      source: who published it.
    """

    accuracy: float
    source: str


_CIFAR10 = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
_PUBLISHED = {
    "plain": Published(96.70, "Madono et al. 2020"),
    "le": Published(94.94, "Madono et al. 2020"),
    "etc": Published(85.94, "Madono et al. 2020"),
    "ele": Published(67.10, "Madono et al. 2020; 83.06 with their adaptation network"),
    "lpe-50": Published(96.70 - PAPER_GAP, "inferred from Ahmad and Shin: plain less 7.11"),
    "lpe-100": Published(96.70 - PAPER_GAP, "inferred from Ahmad and Shin: plain less 7.11"),
}


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """An accuracy over seeds.

    Attributes:
      mean: 0..1.
      spread: standard deviation, 0 for one seed.
      seeds: how many there were.
    """

    mean: float
    spread: float
    seeds: int

    def __str__(self) -> str:
        if self.seeds == 1:
            return f"{self.mean:.1%}"
        return f"{100 * self.mean:.1f} ± {100 * self.spread:.1f} %"


@dataclasses.dataclass(frozen=True)
class Row:
    """A scheme.

    Attributes:
      cipher: its name.
      front_end: the key-free front end; `none` where there is none for the scheme.
      accuracies: of each kind that there is.
      gap: points that it loses against plain images, behind its front end.
      gap_noise: points that two networks may differ by without any cause; see `_noise`.
      as_it_is_gap: as `gap`, for the ciphertext as it is; None where that was not trained besides.
      as_it_is_noise: as `gap_noise`, for `as_it_is_gap`.
      attack: the best ciphertext-only attack; None for `plain`, or where there is none.
      images: ciphertexts that it had; None for `plain`.
      psnr: of what it restored, in dB; None for `plain`.
      ssim: structural similarity of what it restored; None for `plain`.
      exact: whether it restored all images without any difference.
      published: what the literature has for the scheme; None for other images than CIFAR-10.
    """

    cipher: str
    front_end: str
    accuracies: dict[Kind, Accuracy]
    gap: float
    gap_noise: float
    as_it_is_gap: float | None
    as_it_is_noise: float | None
    attack: str | None
    images: int | None
    psnr: float | None
    ssim: float | None
    exact: bool
    published: Published | None

    @property
    def accuracy(self) -> Accuracy:
        """Behind the scheme's front end, or of its ciphertexts as they are where there is none."""
        return self.accuracies[_main(self.accuracies)]

    @property
    def restored(self) -> str:
        """The accuracy on restored images as people read it; empty where there is none."""
        return str(self.accuracies.get("restored", ""))

    @property
    def lost(self) -> str:
        """What is lost, as people read it; empty for `plain`, against which it is counted."""
        return "" if self.cipher == "plain" else _lost_text(self.gap, self.gap_noise)

    @property
    def as_it_is(self) -> tuple[str, str] | None:
        """The accuracy of ciphertexts as they are and what is lost, as people read them; None as `as_it_is_gap`."""
        if self.as_it_is_gap is None or self.as_it_is_noise is None:
            return None
        return str(self.accuracies["ciphertext"]), _lost_text(self.as_it_is_gap, self.as_it_is_noise)

    @property
    def reconstruction(self) -> str:
        """The quality of the best reconstruction as people read it; empty for `plain`."""
        if self.psnr is None:
            return ""
        return "exact" if self.psnr >= MAX_PSNR else f"{self.psnr:.1f} dB"

    def to_json(self) -> dict[str, Any]:
        """One entry of `schemes` in report.json."""
        return {
            "cipher": self.cipher,
            "front_end": self.front_end,
            "accuracy": {kind: dataclasses.asdict(value) for kind, value in self.accuracies.items()},
            "gap": round(self.gap, 3),
            "gap_noise": round(self.gap_noise, 3),
            "as_it_is_gap": _rounded(self.as_it_is_gap),
            "as_it_is_gap_noise": _rounded(self.as_it_is_noise),
            "attack": self.attack,
            "attack_images": self.images,
            "psnr": self.psnr,
            "ssim": self.ssim,
            "restored_exactly": self.exact,
            "published": dataclasses.asdict(self.published) if self.published is not None else None,
        }


def rows(
    ciphers: Sequence[str],
    class_names: Sequence[str],
    results: Sequence[TrialResult],
    best_attacks: Mapping[str, BestAttack],
    restored_exactly: Set[str],
    tested: int,
) -> tuple[Row, ...]:
    """One row a scheme.

    Args:
      ciphers: the schemes, in order; `plain` is among them.
      class_names: of the plain images.
      results: of all networks.
      best_attacks: by scheme.
      restored_exactly: schemes whose images an attack restored without any difference: there the network for plain
        images is the network.
      tested: how many images accuracies were measured on.
    """
    plain = _accuracies(results, "plain")["ciphertext"]
    table = []
    for cipher in ciphers:
        accuracies = _accuracies(results, cipher)
        if cipher in restored_exactly:
            accuracies["restored"] = plain
        lost = {kind: 100 * (plain.mean - accuracy.mean) for kind, accuracy in accuracies.items()}
        noise = {kind: _noise(plain, accuracy, tested) for kind, accuracy in accuracies.items()}
        main = _main(accuracies)
        tried = {result.trial.front_end for result in results if result.trial.cipher == cipher}
        attack = best_attacks.get(cipher)
        row = Row(
            cipher=cipher,
            front_end=next(iter(tried - {front_ends.NONE}), front_ends.NONE),
            accuracies=accuracies,
            gap=lost[main],
            gap_noise=noise[main],
            as_it_is_gap=None if main == "ciphertext" else lost.get("ciphertext"),
            as_it_is_noise=None if main == "ciphertext" else noise.get("ciphertext"),
            attack=attack.attack if attack is not None else None,
            images=attack.images if attack is not None else None,
            psnr=attack.psnr if attack is not None else None,
            ssim=attack.ssim if attack is not None else None,
            exact=cipher in restored_exactly,
            published=_PUBLISHED.get(cipher) if set(class_names) == _CIFAR10 else None,
        )
        table.append(row)
    return tuple(table)


def _main(accuracies: Mapping[Kind, Accuracy]) -> Kind:
    return "front end" if "front end" in accuracies else "ciphertext"


def _rounded(points: float | None) -> float | None:
    return None if points is None else round(points, 3)


def _noise(one: Accuracy, other: Accuracy, tested: int) -> float:
    """Points below which a difference of two accuracies says nothing: two standard errors.

    Of the spread over seeds, or of the choice of the test images, whichever is the larger: few seeds may agree by
    chance.
    """
    over_seeds = sum(accuracy.spread**2 / accuracy.seeds for accuracy in (one, other))
    over_images = sum(accuracy.mean * (1 - accuracy.mean) / tested for accuracy in (one, other))
    return 200 * math.sqrt(max(over_seeds, over_images))


def _lost_text(gap: float, noise: float) -> str:
    return f"{gap:.1f}" if abs(gap) > noise else f"≈ 0 (±{noise:.1f})"


def _accuracies(results: Sequence[TrialResult], cipher: str) -> dict[Kind, Accuracy]:
    accuracies: dict[Kind, Accuracy] = {}
    for kind in KINDS:
        values = [
            result.accuracy
            for result in results
            if result.trial.cipher == cipher and result.trial.kind == kind
        ]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            accuracies[kind] = Accuracy(statistics.mean(values), spread, len(values))
    return accuracies
