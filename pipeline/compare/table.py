"""Table of a comparison: each scheme's accuracies, what they lose against plain images, and what attacks restore."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence, Set
from typing import Any

from lpe.pipeline.audit.quality import MAX_PSNR
from lpe.pipeline.audit.results import Reidentification
from lpe.pipeline.compare.dominance import Accuracy, Better, Control, better, noise
from lpe.pipeline.compare.restoring import BestAttack
from lpe.pipeline.compare.results import TrialResult
from lpe.pipeline.compare.schemes import PLAIN, Scheme
from lpe.pipeline.compare.trials import KINDS, Kind
from lpe.train import front_ends

PAPER_GAP = 7.11
"""Points that the paper's own scheme loses against plain images (Ahmad and Shin, abstract)."""

NEARLY_EXACT = 60.0
"""The PSNR in dB from which on reconstructions count as exact."""
NEARLY_ALWAYS = 0.99
"""The share of images from which on re-identification counts as certain."""
_NOTHING = "none"
"""What is said to beat a scheme that nothing beats."""


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
class Beaten:
    """The controls without a key that beat a scheme, None for none.

    Attributes:
      by_psnr: with what attackers restore taken for what is given away.
      by_reidentification: with how often they name the right photograph; None also where that was not measured.
    """

    by_psnr: Better | None
    by_reidentification: Better | None

    def to_json(self) -> dict[str, Any]:
        """Its part of report.json."""
        return {
            "psnr": self.by_psnr.to_json() if self.by_psnr is not None else None,
            "reidentification": self.by_reidentification.to_json()
            if self.by_reidentification is not None
            else None,
        }


@dataclasses.dataclass(frozen=True)
class Row:
    """A scheme.

    Attributes:
      scheme: the scheme.
      front_end: the key-free front end; `none` where there is none for the scheme.
      accuracies: of each kind that there is.
      gap: points that it loses against plain images, behind its front end.
      gap_noise: points that two networks may differ by without any cause; see `dominance.noise`.
      as_it_is_gap: as `gap`, for the ciphertext as it is; None where that was not trained besides.
      as_it_is_noise: as `gap_noise`, for `as_it_is_gap`.
      attack: the best ciphertext-only attack; None for `plain`, or where there is none.
      images: ciphertexts that it had; None for `plain`.
      psnr: of what it restored, in dB; None for `plain`.
      ssim: structural similarity of what it restored; None for `plain`.
      exact: whether it restored all images without any difference.
      published: what the literature has for the scheme; None for other images than CIFAR-10.
      reidentification: how often ciphertexts alone name the right photograph; None where that was not measured.
      beaten: by which controls, behind its front end; None for `plain` and controls, or where none was compared.
      as_it_is_beaten: likewise, for the ciphertext as it is; None where that was not trained besides.
    """

    scheme: Scheme
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
    reidentification: Reidentification | None
    beaten: Beaten | None = None
    as_it_is_beaten: Beaten | None = None

    @property
    def title(self) -> str:
        """The scheme as people read it."""
        return self.scheme.title

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
        return "" if self.scheme == PLAIN else _lost_text(self.gap, self.gap_noise)

    @property
    def as_it_is(self) -> tuple[str, str] | None:
        """The accuracy of ciphertexts as they are and what is lost, as people read them; None as `as_it_is_gap`."""
        if self.as_it_is_gap is None or self.as_it_is_noise is None:
            return None
        return str(self.accuracies["ciphertext"]), _lost_text(self.as_it_is_gap, self.as_it_is_noise)

    @property
    def decibels(self) -> float:
        """The PSNR of the best reconstruction, at most `NEARLY_EXACT`: plain images are there for all to see."""
        return NEARLY_EXACT if self.psnr is None else min(self.psnr, NEARLY_EXACT)

    @property
    def recognised(self) -> float | None:
        """The share of images that is re-identified, at most `NEARLY_ALWAYS`; None where that was not measured."""
        if self.scheme == PLAIN:
            return NEARLY_ALWAYS
        return None if self.reidentification is None else min(self.reidentification.first, NEARLY_ALWAYS)

    @property
    def reconstruction(self) -> str:
        """The quality of the best reconstruction as people read it; empty for `plain`."""
        if self.psnr is None:
            return ""
        return "exact" if self.psnr >= MAX_PSNR else f"{self.psnr:.1f} dB"

    @property
    def named(self) -> str:
        """How often the right photograph is named, as people read it; empty where that was not measured."""
        return "" if self.reidentification is None else f"{self.reidentification.first:.1%}"

    @property
    def beaten_by(self) -> tuple[str, str]:
        """What beats it, by PSNR and by names, as people read it; empty where that is not asked."""
        return self._texts(self.beaten)

    @property
    def as_it_is_beaten_by(self) -> tuple[str, str]:
        """As `beaten_by`, for the ciphertext as it is."""
        return self._texts(self.as_it_is_beaten)

    def _texts(self, beaten: Beaten | None) -> tuple[str, str]:
        if beaten is None:
            return "", ""
        by_name = "" if self.reidentification is None else str(beaten.by_reidentification or _NOTHING)
        return str(beaten.by_psnr or _NOTHING), by_name

    def to_json(self) -> dict[str, Any]:
        """One entry of `schemes` in report.json."""
        return {
            **dataclasses.asdict(self.scheme),
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
            "reidentification": self.reidentification.to_json()
            if self.reidentification is not None
            else None,
            "beaten_by": self.beaten.to_json() if self.beaten is not None else None,
            "as_it_is_beaten_by": self.as_it_is_beaten.to_json()
            if self.as_it_is_beaten is not None
            else None,
            "published": dataclasses.asdict(self.published) if self.published is not None else None,
        }


def rows(
    schemes: Sequence[Scheme],
    class_names: Sequence[str],
    results: Sequence[TrialResult],
    best_attacks: Mapping[Scheme, BestAttack],
    restored_exactly: Set[Scheme],
    tested: int,
) -> tuple[Row, ...]:
    """One row a scheme.

    Args:
      schemes: the schemes, in order; `plain` is among them.
      class_names: of the plain images.
      results: of all networks.
      best_attacks: by scheme.
      restored_exactly: schemes whose images an attack restored without any difference: there the network for plain
        images is the network.
      tested: how many images accuracies were measured on.
    """
    plain = _accuracies(results, PLAIN)["ciphertext"]
    table = []
    for scheme in schemes:
        accuracies = _accuracies(results, scheme)
        if scheme in restored_exactly:
            accuracies["restored"] = plain
        lost = {kind: 100 * (plain.mean - accuracy.mean) for kind, accuracy in accuracies.items()}
        least = {kind: noise(plain, accuracy, tested) for kind, accuracy in accuracies.items()}
        main = _main(accuracies)
        tried = {result.trial.front_end for result in results if result.trial.scheme == scheme}
        attack = best_attacks.get(scheme)
        published = set(class_names) == _CIFAR10 and not scheme.reduction
        row = Row(
            scheme=scheme,
            front_end=next(iter(tried - {front_ends.NONE}), front_ends.NONE),
            accuracies=accuracies,
            gap=lost[main],
            gap_noise=least[main],
            as_it_is_gap=None if main == "ciphertext" else lost.get("ciphertext"),
            as_it_is_noise=None if main == "ciphertext" else least.get("ciphertext"),
            attack=attack.attack if attack is not None else None,
            images=attack.images if attack is not None else None,
            psnr=attack.psnr if attack is not None else None,
            ssim=attack.ssim if attack is not None else None,
            exact=scheme in restored_exactly,
            published=_PUBLISHED.get(scheme.cipher) if published else None,
            reidentification=attack.reidentification if attack is not None else None,
        )
        table.append(row)
    return tuple(_beaten(row, table, tested) for row in table)


def _beaten(row: Row, table: Sequence[Row], tested: int) -> Row:
    """The row with the controls that beat its scheme, if there are controls and it is none itself."""
    without_secret = [other for other in table if other.scheme.needs_no_secret]
    if row.scheme.needs_no_secret or len(without_secret) == 1:
        return row
    restored = [Control(other.title, other.accuracy, other.decibels) for other in without_secret]
    named = [
        Control(other.title, other.accuracy, other.recognised)
        for other in without_secret
        if other.recognised is not None
    ]

    def beaten(accuracy: Accuracy) -> Beaten:
        return Beaten(
            better(accuracy, row.decibels, restored, tested),
            None if row.recognised is None else better(accuracy, row.recognised, named, tested),
        )

    return dataclasses.replace(
        row,
        beaten=beaten(row.accuracy),
        as_it_is_beaten=None if row.as_it_is_gap is None else beaten(row.accuracies["ciphertext"]),
    )


def _main(accuracies: Mapping[Kind, Accuracy]) -> Kind:
    return "front end" if "front end" in accuracies else "ciphertext"


def _rounded(points: float | None) -> float | None:
    return None if points is None else round(points, 3)


def _lost_text(gap: float, least: float) -> str:
    return f"{gap:.1f}" if abs(gap) > least else f"≈ 0 (±{least:.1f})"


def _accuracies(results: Sequence[TrialResult], scheme: Scheme) -> dict[Kind, Accuracy]:
    accuracies: dict[Kind, Accuracy] = {}
    for kind in KINDS:
        values = [
            result.accuracy
            for result in results
            if result.trial.scheme == scheme and result.trial.kind == kind
        ]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            accuracies[kind] = Accuracy(statistics.mean(values), spread, len(values))
    return accuracies
