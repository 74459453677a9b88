"""Ciphertext-only attack on reductions: the best linear estimate of what was taken away.

No key is in the way, and what was reduced is known. So the attacker reduces images of their own, which everybody has,
and learns how images follow from reduced ones: the affine map with the least mean squared error from a window of the
reduced image to the block of pixels in its middle (Wiener's filter, by patches). With second-order statistics S of
windows and T of windows and blocks it is S⁻¹T. Statistics differ between the middle of an image and its edges, the
sky and the ground: each of at most 8×8 zones has its own, to which those of the whole image are added with a weight
that is chosen on images kept back.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.patches import Layout, Windows
from lpe.transforms.image_shape import image_shape_of

_ZONES = 8
"""From top to bottom, and from left to right."""
_SAMPLES = 2500
"""Windows of a zone that are looked at, at most."""
_VALUES = 1 << 23
"""Bytes of images that are held as windows at once."""
_LEARNT = 1 << 25
"""Bytes of images that are learnt from, at most."""
_KEPT_BACK = 5
"""Every so many-th image chooses the weights."""
_WEIGHTS = (1.0, 4.0, 32.0)
_RIDGES = (1e-5, 1e-3)
"""Of the mean variance of windows, added to each."""
_OWN_SECRET = bytes(32)
"""The attacker's, for noise: any other would do."""


class Linear(Attack):
    """Restores each reduced image by the best linear map that public images teach."""

    name = "linear"
    adversary = "ciphertext-only"
    source = "Wiener filter"
    learns = False

    def applies_to(self, target: Target) -> bool:
        """Whether images were reduced, and nothing more."""
        return bool(target.reduction) and target.cipher == "plain"

    def learn(self, evidence: Evidence) -> Recovery:
        """Learns the map from public images, of which the attacker makes reduced ones.

        The recovery restores reduced images whatever the cipher is: for a keyed one, those that another attack
        restored.
        """
        if evidence.public is None or not len(evidence.public):
            raise ValueError("the linear estimate is learnt from public images, and this evidence has none")
        public = with_mirrored(evidence.public)
        return Recovery(fit(public, evidence.target.reduction.apply(public, _OWN_SECRET)))


def with_mirrored(images: np.ndarray) -> np.ndarray:
    """Images uint8 [N, H, W, C] and, where they are few, mirrored ones, left to right; of very many the first."""
    most = max(1, _LEARNT // images[0].size)
    return np.concatenate([images, images[:, :, ::-1]])[: max(most, min(len(images), 2))]


def fit(plain: np.ndarray, reduced: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Learns the best linear estimate.

    Args:
      plain: uint8 [N, H, W, C].
      reduced: what became of them, uint8 [N, h, w, k].

    Returns:
      The estimate of images, uint8 [M, H, W, C], from reduced ones, uint8 [M, h, w, k].
    """
    layout = Layout.of(image_shape_of(plain), image_shape_of(reduced))
    kept = np.arange(len(plain)) % _KEPT_BACK == _KEPT_BACK - 1
    learnt = _statistics(layout, plain[~kept], reduced[~kept])
    weight, ridge = _WEIGHTS[-1], _RIDGES[-1]
    if kept.any():
        checked = _statistics(layout, plain[kept], reduced[kept])
        weight, ridge = min(
            itertools.product(_WEIGHTS, _RIDGES), key=lambda both: checked.error(learnt.maps(*both))
        )
        learnt = learnt.and_of(checked)
    maps = learnt.maps(weight, ridge)

    def restore(images: np.ndarray) -> np.ndarray:
        few = max(1, _VALUES // plain[0].size)
        parts = [_estimate(layout, maps, images[at : at + few]) for at in range(0, len(images), few)]
        return np.concatenate(parts) if parts else np.empty((0, *plain.shape[1:]), np.uint8)

    return restore


def _estimate(layout: Layout, maps: np.ndarray, reduced: np.ndarray) -> np.ndarray:
    windows = Windows(layout, reduced)
    blocks = np.empty((*layout.grid, len(reduced), layout.outputs), np.float32)
    for y, x in layout.positions():
        np.matmul(windows.at(y, x), maps[_zone(layout, y, x)], out=blocks[y, x])
    return layout.images(blocks)


def _zone(layout: Layout, y: int, x: int) -> int:
    high, wide = layout.grid
    return y * min(high, _ZONES) // high * min(wide, _ZONES) + x * min(wide, _ZONES) // wide


@dataclasses.dataclass(frozen=True)
class _Statistics:
    """Sums over the windows and blocks of each zone.

    Attributes:
      windows: products of two values of a window, float32 [zones, features, features].
      both: products of a window's and its block's, float32 [zones, features, outputs].
      blocks: squares of a block's values, float64 [zones].
    """

    windows: np.ndarray
    both: np.ndarray
    blocks: np.ndarray

    def and_of(self, other: _Statistics) -> _Statistics:
        """Those of both."""
        return _Statistics(self.windows + other.windows, self.both + other.both, self.blocks + other.blocks)

    def maps(self, weight: float, ridge: float) -> np.ndarray:
        """The best map from windows to blocks in each zone, float32 [zones, features, outputs].

        Args:
          weight: of the mean of all zones, added to each one's own statistics.
          ridge: of the mean variance, added to each.
        """
        windows, both = self.windows.mean(axis=0, dtype=np.float64), self.both.mean(axis=0, dtype=np.float64)
        diagonal = np.eye(len(windows)) * (ridge * np.trace(windows) / len(windows) + 1e-9)
        out = np.empty_like(self.both)
        for zone, (own, own_both) in enumerate(zip(self.windows, self.both, strict=True)):
            total = (own + weight * windows) / (1 + weight) + diagonal
            out[zone] = np.linalg.solve(total, (own_both + weight * both) / (1 + weight))
        return out

    def error(self, maps: np.ndarray) -> float:
        """The squared error that maps have on these windows, all together."""
        estimate = (maps * (self.windows @ maps - 2 * self.both)).sum(axis=(1, 2), dtype=np.float64)
        return float((estimate + self.blocks).sum())


def _statistics(layout: Layout, plain: np.ndarray, reduced: np.ndarray) -> _Statistics:
    """Statistics of images, of no more windows than it takes."""
    zones = max(_zone(layout, y, x) for y, x in layout.positions()) + 1
    sums = _Statistics(
        np.zeros((zones, layout.features, layout.features), np.float32),
        np.zeros((zones, layout.features, layout.outputs), np.float32),
        np.zeros(zones),
    )
    positions = layout.rows.blocks * layout.columns.blocks
    # Windows of one image are alike: fewer of each image, rather than fewer images.
    step = -(-len(plain) * positions // (zones * _SAMPLES))
    few = max(1, _VALUES // plain[0].size)
    for start in range(0, len(plain), few):
        windows = Windows(layout, reduced[start : start + few])
        blocks = layout.blocks(plain[start : start + few])
        for at, (y, x) in enumerate(layout.positions()):
            some = slice((at + start) % step, None, step)
            here, there = windows.at(y, x, some), blocks[y, x, some]
            zone = _zone(layout, y, x)
            sums.windows[zone] += here.T @ here
            sums.both[zone] += here.T @ there
            sums.blocks[zone] += float(np.vdot(there, there))
    return sums
