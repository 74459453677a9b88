"""Re-identification: who holds photographs and one ciphertext, how often do they find the one that it was made of?

A score says how well each candidate fits each ciphertext; the right one's rank among all is what counts. Scores are

    correlations    of candidates with what an attack restored, Pearson's over all pixels and channels
    likelihoods     of a ciphertext's statistics, given a candidate's, and correlations of both: each feature weighs as
                    much as it survives the encryption in images of the attacker's own, under keys of their own

Where there are several scores, the one to trust is chosen on other ciphertexts than those that it is measured on.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np

from lpe.transforms.attacks import photographs
from lpe.transforms.fingerprints import Fingerprint, fingerprints
from lpe.transforms.image_shape import image_shape_of
from lpe.transforms.reductions.thumbnail import Thumbnail

LeavesOpen = Literal["nothing", "negative", "mirror", "view"]
"""See `lpe.transforms.attacks.Attack.leaves_open`."""
CORRELATED = ", correlated"
"""The end of the name of a statistic's second score."""
_SIDE, _SMALL_SIDE = 32, 8
"""Larger images are compared as thumbnails, and all as small ones too, which are right where details are not."""
_TIED = 1e-6
"""Scores that differ by less, of the largest, differ by rounding."""
_SURE = 1e-3
"""The least share of a statistic's variance that an encryption is taken to change."""


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Where the right photograph of each ciphertext came out.

    Attributes:
      first: how likely it is named, float64 [M]: 1 where it alone fits best, 1/n where n fit equally well, or else 0.
      rank: its rank from 1, float64 [M]; among equals the mean of their ranks.
    """

    first: np.ndarray
    rank: np.ndarray


def ranked(scores: np.ndarray, right: np.ndarray) -> Ranking:
    """Ranks the right photographs.

    Args:
      scores: [M, K]: how well each of K candidates fits each of M ciphertexts, higher is better; NaN is worst.
      right: int [M]: which candidate each ciphertext was made of.
    """
    scores = np.nan_to_num(scores.astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    own = np.take_along_axis(scores, right[:, None], axis=1)
    finite = np.where(np.isfinite(scores), np.abs(scores), 0)
    with np.errstate(invalid="ignore"):  # −∞ less −∞, which is a tie
        tied = (np.abs(scores - own) <= _TIED * finite.max(axis=1, keepdims=True)) | (scores == own)
    better = ((scores > own) & ~tied).sum(axis=1)
    equals = tied.sum(axis=1)
    return Ranking(np.where(better == 0, 1 / equals, 0.0), 1 + better + (equals - 1) / 2)


def best(rankings: Mapping[str, Ranking]) -> tuple[str, Ranking]:
    """The best of several rankings of the same ciphertexts, chosen for each half of them on the other half.

    Args:
      rankings: by name, at least one; of equals the first counts.

    Returns:
      The name of the one that is best on all, and the ranking by those that were chosen.
    """
    names = list(rankings)
    value = np.stack([1 / rankings[name].rank for name in names])
    half = np.arange(value.shape[1]) % 2
    chosen = np.empty(len(half), np.int64)
    for own in (0, 1):
        other = half != own
        chosen[half == own] = value[:, other if other.any() else ~other].mean(axis=1).argmax()
    first, rank = (
        np.stack([getattr(rankings[name], field) for name in names])[chosen, np.arange(len(half))]
        for field in ("first", "rank")
    )
    return names[int(value.mean(axis=1).argmax())], Ranking(first, rank)


class Candidates:
    """Photographs among which the right one is looked for.

    Args:
      images: uint8 [K, H, W, C].
    """

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def correlations(
        self, restored: np.ndarray, leaves_open: LeavesOpen = "nothing"
    ) -> dict[str, np.ndarray]:
        """Correlates the candidates with restored images, in several ways.

        Args:
          restored: uint8 [M, H, W, C], what is known of the ciphertexts' images.
          leaves_open: what the attack did not settle; a candidate counts as in the view that fits it best.

        Returns:
          Scores for `ranked`, [M, K] each, by the way they were taken.
        """
        if leaves_open == "view":  # dozens of views, for which small ones do
            small = _smaller(restored, _SMALL_SIDE)
            views = (photographs.view(small, view) for view in photographs.all_views(image_shape_of(small)))
            return {"small": _highest(_unit(view) @ self._features["small"].T for view in views)}
        restored = _smaller(restored, _SIDE)
        seen_as = {"negative": [255 - restored], "mirror": [restored[:, :, ::-1]]}.get(leaves_open, [])
        features = [_features(view) for view in (restored, *seen_as)]
        return {
            name: _highest(seen[name] @ own.T for seen in features) for name, own in self._features.items()
        }

    @functools.cached_property
    def _features(self) -> dict[str, np.ndarray]:
        return _features(_smaller(self.images, _SIDE))


def by_statistics(
    ciphertexts: np.ndarray, candidates: np.ndarray, public: tuple[np.ndarray, np.ndarray]
) -> dict[str, np.ndarray]:
    """Weighs candidates by statistics of ciphertexts alone.

    Args:
      ciphertexts: uint8 [M, H, W, C].
      candidates: uint8 [K, H, W, C], as they are right before encryption.
      public: (images, their ciphertexts under the attacker's own keys), uint8 [P, H, W, C] each, in the same state.

    Returns:
      Scores for `ranked`, [M, K] each, by statistic; two of each, one with `CORRELATED` after its name.
    """
    scores = {}
    for each in fingerprints(image_shape_of(ciphertexts)):
        scores[each.name], scores[f"{each.name}{CORRELATED}"] = _likeness(
            each, ciphertexts, candidates, public
        )
    return scores


def _likeness(
    fingerprint: Fingerprint,
    ciphertexts: np.ndarray,
    candidates: np.ndarray,
    public: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of likelihoods, less what does not depend on the candidate, and correlations: float64 [M, K] each.

    Features are taken to be normal and independent. Where r is a feature's correlation in ciphertexts and in images,
    z its value in a ciphertext and x in a candidate, both by public mean and deviation, that of z given x is
    −(z − r·x)² / 2(1 − r²). Correlations of z with r·x, so weighted, forgive what is wrong in all features alike.
    """
    images, encrypted = fingerprint.of_images(public[0]), fingerprint.of_ciphertexts(public[1])
    x_public, x = _standard(images, fingerprint.of_images(candidates))
    z_public, z = _standard(encrypted, fingerprint.of_ciphertexts(ciphertexts))
    r = (x_public * z_public).mean(axis=0)
    # What chance gives in so few images does not count.
    r *= np.maximum(0, 1 - 4 / (len(images) * np.maximum(r * r, 1e-12)))
    root = np.sqrt(1 / np.maximum(1 - r * r, _SURE))
    x, z = x * (r * root), z * root
    likelihoods = z @ x.T - (x * x).sum(axis=1) / 2
    # A feature that tells nothing is 0 in x; in z it would only make all correlations smaller.
    return likelihoods, _unit(z * (r != 0)) @ _unit(x).T


def _standard(public: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Public and other features by their public mean and deviation, float64; 0 where that is 0."""
    mean, spread = public.mean(axis=0, dtype=np.float64), public.std(axis=0, dtype=np.float64)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0)
    return (public - mean) * scale, (values - mean) * scale


def _smaller(images: np.ndarray, side: int) -> np.ndarray:
    """Thumbnails of images that are larger than that."""
    return Thumbnail(side).apply(images) if max(images.shape[1:3]) > side else images


def _highest(scores: Iterable[np.ndarray]) -> np.ndarray:
    """The highest of several scores, each [M, K]."""
    return np.asarray(functools.reduce(np.maximum, scores))


def _features(images: np.ndarray) -> dict[str, np.ndarray]:
    """Features whose products are Pearson's correlations, float32 [N, F] each."""
    values = images.astype(np.float32)
    return {
        "pixels": _unit(values),
        "departures from the mean image": _unit(values - values.mean(axis=0)),
        "small": _unit(_smaller(images, _SMALL_SIDE)),
        "details": _unit(values - _blurred(values)),
    }


def _unit(values: np.ndarray) -> np.ndarray:
    """Each image flat, less its mean and of length 1; of an image of one value nothing is left."""
    flat = values.reshape(len(values), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.sqrt((flat * flat).sum(axis=1, keepdims=True))
    return np.asarray(flat / np.where(length > 1e-3, length, np.float32(np.inf)))


def _blurred(values: np.ndarray) -> np.ndarray:
    """The mean of 3×3 pixels around each."""
    for axis in (1, 2):
        padding = [(1, 1) if axis == each else (0, 0) for each in range(4)]
        padded = np.pad(values, padding, mode="edge")
        parts = [padded.take(range(at, at + values.shape[axis]), axis=axis) for at in range(3)]
        values = (parts[0] + parts[1] + parts[2]) / 3
    return values
