"""The table: for each scheme three accuracies, what they cost against plain images, and what an attacker sees."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

from lpe.pipeline.compare.comparison import Compared
from lpe.pipeline.compare.trials import KINDS, Kind
from lpe.train import front_ends

LEAKAGE = (
    "In these schemes accuracy is largely leakage: a network learns from a ciphertext what the ciphertext gives away, "
    "and an analyst can take the same."
)
PAPER_GAP = 7.11
"""Points that the paper's own scheme loses against plain images (Ahmad and Shin, abstract)."""


@dataclasses.dataclass(frozen=True)
class Published:
    """An accuracy from the literature, in percent: ShakeDrop and PyramidNet, 300 epochs, 50,000 images."""

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
    """An accuracy over seeds, 0..1: mean, and standard deviation (0 for one seed)."""

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
      cipher, front_end: the scheme, and the key-free front end that was tried.
      accuracies: of each kind that there is.
      gap: points that the ciphertext as it is loses against plain images.
      best_gap: the same for the better of it and the front end.
      attack, images, psnr, ssim: the best ciphertext-only attack and what it restored; None for `plain`.
      exact: whether it restored all images without any difference.
      published: what the literature has for the scheme; None for other images than CIFAR-10.
    """

    cipher: str
    front_end: str
    accuracies: dict[Kind, Accuracy]
    gap: float
    best_gap: float
    attack: str | None
    images: int | None
    psnr: float | None
    ssim: float | None
    exact: bool
    published: Published | None

    def to_json(self) -> dict[str, Any]:
        return {
            "cipher": self.cipher,
            "front_end": self.front_end,
            "accuracy": {kind: dataclasses.asdict(value) for kind, value in self.accuracies.items()},
            "gap": round(self.gap, 3),
            "best_gap": round(self.best_gap, 3),
            "attack": self.attack,
            "attack_images": self.images,
            "psnr": self.psnr,
            "ssim": self.ssim,
            "restored_exactly": self.exact,
            "published": dataclasses.asdict(self.published) if self.published is not None else None,
        }


def rows(compared: Compared) -> list[Row]:
    """One row a scheme, in the order that was asked for."""
    plain = _accuracies(compared, "plain")["ciphertext"]
    found = []
    for cipher in compared.spec.ciphers:
        accuracies = _accuracies(compared, cipher)
        if cipher in compared.exact:
            accuracies["restored"] = plain
        lost = {kind: 100 * (plain.mean - value.mean) for kind, value in accuracies.items()}
        used = {line["front_end"] for line in compared.results if line["cipher"] == cipher}
        breach = compared.breaches.get(cipher)
        found.append(
            Row(
                cipher,
                next(iter(used - {front_ends.NONE}), front_ends.NONE),
                accuracies,
                lost["ciphertext"],
                min(lost["ciphertext"], lost.get("front end", lost["ciphertext"])),
                breach.attack if breach is not None else None,
                breach.images if breach is not None else None,
                breach.psnr if breach is not None else None,
                breach.ssim if breach is not None else None,
                cipher in compared.exact,
                _PUBLISHED.get(cipher) if set(compared.plain.class_names) == _CIFAR10 else None,
            )
        )
    return found


def _accuracies(compared: Compared, cipher: str) -> dict[Kind, Accuracy]:
    found: dict[Kind, Accuracy] = {}
    for kind in KINDS:
        values = [
            line["accuracy"] for line in compared.results if line["cipher"] == cipher and line["kind"] == kind
        ]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            found[kind] = Accuracy(statistics.mean(values), spread, len(values))
    return found


def setting(compared: Compared) -> str:
    """What was run, in one sentence."""
    spec, counts = compared.spec, compared.counts
    tested = next(name for name in counts if name != "train")
    copies = spec.augmentation.copies if spec.augmentation is not None else 0
    learnt_from = spec.audit_images * 4 // 5
    augmented = f", {copies} augmented copies of each" if copies else ", no augmentation"
    return (
        f"{spec.read.source}: {counts['train']:,} training images{augmented}, {counts[tested]:,} {tested} images; "
        f"model {spec.model}, {spec.epochs} epochs, batches of {spec.recipe.batch_size}; {spec.seeds} seeds, mean ± "
        f"standard deviation. One key for the dataset; attackers have {learnt_from:,} ciphertexts and no key."
    )
