"""What a person sees of images in their ciphertexts.

An eye averages noise away and compares textures. So each picture is taken as maps of what an eye tells apart: light
and colours, how rough it is along rows and along columns, how colourful it is. Each map is averaged over squares (a
box blur) of several sizes, and every map of a ciphertext is correlated with every map of its plain image; the best
counts, whatever its sign, since a negative is as visible.

Any two pictures correlate a little. So the floor is what the same maps give where the plain images are moved by
quarters of their height and width (around the edges), and nothing of them is left to be seen: that keeps how smooth
images are, and holds for images that are all alike as well, among which another one's plaintext would be no control. A
person sees something where the correlation is well above that. How far is chosen by looking at photographs of 32×32 to
512×512 pixels and at CIFAR-10 images under every scheme.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Images = Sequence[np.ndarray] | np.ndarray
"""uint8 [H, W, C] each, or one array of them."""
Seen = Literal["plain to see", "outlines", "patches", "nothing"]
"""What a person sees: the image, the shapes in it, only that some areas are unlike others, or noise."""

_CELLS = (16, 32, 64)
"""Squares along each side; fewer than 16 show no shapes."""
_MOVES = tuple(itertools.product(range(4), range(4)))[1:]
"""Quarters of height and width by which plain images are moved."""
_PLAIN_TO_SEE, _OUTLINES, _PATCHES = 0.65, 0.45, 0.12
"""Correlation beyond the floor: of light or a colour with itself, and of any two maps."""
_PATCHES_OF_ONE = 0.28
"""As `_PATCHES`, of a single image: random bytes reach 0.26."""
_COLOURS = 3
_TONES = 1 + _COLOURS
"""Maps of light and colours, which come first."""
_STRIP_VALUES = 1 << 18
_CONSTANT = 1e-6
_WINDOW = 7
"""Side of the windows of SSIM, in squares."""


@dataclasses.dataclass(frozen=True)
class Visibility:
    """What is seen of images in their ciphertexts.

    Attributes:
      correlation: of the two maps, one of the ciphertexts and one of the plain images, that are most alike; mean over
        the images, 0..1.
      ssim: their structural similarity, both brought to one mean and spread, −1..1.
      scale: the side, in pixels, of the squares that they are averaged over.
      floor: their correlation where the plain images are moved.
      seen: what that amounts to.
    """

    correlation: float
    ssim: float
    scale: float
    floor: float
    seen: Seen

    @property
    def visible(self) -> bool:
        """Whether a person makes out shapes."""
        return self.seen in ("plain to see", "outlines")

    def to_json(self) -> dict[str, Any]:
        """The figures, rounded, and what they amount to."""
        figures = {name: round(getattr(self, name), 4) for name in ("correlation", "ssim", "scale", "floor")}
        return {**figures, "seen": self.seen, "visible": self.visible}


def visibility(ciphertexts: Images, plain: Images) -> Visibility:
    """Measures what is seen of images in their ciphertexts.

    Args:
      ciphertexts: uint8 [H, W, C] each, or one array of them, with any number of channels.
      plain: the image of each, at least one. Images may differ in shape, and from their ciphertexts in size.
    """
    smallest = min(min(image.shape[:2]) for image in plain)
    scales = [cells for cells in _CELLS if cells <= smallest] or [smallest]
    pairs = [
        (_maps(ciphertext, scales[-1]), _maps(image, scales[-1]))
        for ciphertext, image in zip(ciphertexts, plain, strict=True)
    ]
    matches = [_best_match(pairs, cells) for cells in scales]
    best = max(matches, key=lambda match: match.excess)
    coarse = min(min(image.shape[:2]) for image in ciphertexts) < scales[0]
    area = float(np.mean([image.shape[0] * image.shape[1] for image in plain]))
    return Visibility(
        correlation=best.correlation,
        ssim=_ssim(pairs, best),
        scale=math.sqrt(area) / best.cells,
        floor=best.floor,
        seen=_seen(best, matches, len(pairs), coarse=coarse),
    )


@dataclasses.dataclass(frozen=True)
class _Match:
    """The two maps that are most alike at one scale.

    Attributes:
      cells: squares along each side.
      which: the ciphertexts' map, the plain images' map.
      correlation: of these, mean over the images of its size.
      floor: the same with the plain images moved, mean over the moves too.
      tone: how far light or a colour of both exceeds its floor.
      chance: how far any two maps exceed their floor under the luckiest of the moves.
    """

    cells: int
    which: tuple[int, int]
    correlation: float
    floor: float
    tone: float
    chance: float

    @property
    def excess(self) -> float:
        """Correlation beyond the floor."""
        return self.correlation - self.floor


def _best_match(pairs: Sequence[tuple[np.ndarray, np.ndarray]], cells: int) -> _Match:
    own: Any = 0.0
    moved: Any = 0.0
    for maps_of_both in pairs:
        first, second = (_standardised(_coarser(maps, cells)) for maps in maps_of_both)
        own = own + np.abs(first @ second.T) / len(pairs)
        squares = second.reshape(-1, cells, cells)
        steps = [(down * cells // 4, right * cells // 4) for down, right in _MOVES]
        elsewhere = np.stack([np.roll(squares, step, (1, 2)).reshape(second.shape).T for step in steps])
        moved = moved + np.abs(first @ elsewhere) / len(pairs)
    floor = moved.mean(axis=0)
    row, column = np.unravel_index((own - floor).argmax(), own.shape)
    tones = tuple(_TONES if len(maps) > _TONES else 1 for maps in pairs[0])
    return _Match(
        cells=cells,
        which=(int(row), int(column)),
        correlation=float(own[row, column]),
        floor=float(floor[row, column]),
        tone=float((own - floor)[: tones[0], : tones[1]].max()),
        chance=float((moved - floor).max()),
    )


def _seen(best: _Match, matches: Sequence[_Match], images: int, *, coarse: bool) -> Seen:
    """What the figures amount to. In a `coarse` ciphertext, of fewer pixels than that, nobody sees shapes."""
    chance = max(match.chance for match in matches)
    if best.excess < max(_PATCHES, _PATCHES_OF_ONE / math.sqrt(images), chance):
        return "nothing"
    if best.excess < _OUTLINES or coarse:
        return "patches"
    return "plain to see" if max(match.tone for match in matches) >= _PLAIN_TO_SEE else "outlines"


def _maps(image: np.ndarray, cells: int) -> np.ndarray:
    """The maps of an image, averaged over squares.

    Args:
      image: uint8 [H, W, C].
      cells: squares along each side.

    Returns:
      float32 [M, cells, cells]: light; with three channels each of them; roughness along rows and along columns; with
      three channels how far each two differ.
    """
    height, width, channels = image.shape
    step = max(1, _STRIP_VALUES // (width * channels))
    strips = []
    for top in range(0, height, step):
        strip = image[top : top + step + 1].astype(np.float32)  # and the row below, for the last difference
        here = strip[:step]
        along, down = np.zeros(here.shape[:2], np.float32), np.zeros(here.shape[:2], np.float32)
        along[:, :-1] = _mean_of_channels(np.abs(np.diff(here, axis=1)))
        down[: len(strip) - 1] = _mean_of_channels(np.abs(np.diff(strip, axis=0)))
        maps = [_mean_of_channels(here), along, down]
        if channels == _COLOURS:
            planes = [here[..., channel] for channel in range(channels)]
            between = [np.abs(one - other) for one, other in itertools.combinations(planes, 2)]
            maps = [maps[0], *planes, along, down, *between]
        strips.append(np.stack([_part_means(values, cells) for values in maps]))
    columns = np.concatenate(strips, axis=1).swapaxes(1, 2)
    return _part_means(columns, cells).swapaxes(1, 2)


def _mean_of_channels(values: np.ndarray) -> np.ndarray:
    """float32 [H, W]; sums of a short last axis are slow."""
    total = values[..., 0].copy()
    for channel in range(1, values.shape[2]):
        total += values[..., channel]
    return np.asarray(total / np.float32(values.shape[2]))


def _part_means(values: np.ndarray, parts: int) -> np.ndarray:
    """float32 […, parts]: means of so many equal parts of the last axis, pixels that two parts share weighted."""
    side = values.shape[-1]
    sums = np.zeros((*values.shape[:-1], side + 1))
    np.cumsum(values, axis=-1, dtype=np.float64, out=sums[..., 1:])
    bounds = np.arange(parts + 1) * side / parts
    before = np.minimum(bounds.astype(np.int64), side - 1)
    at_bounds = sums[..., before] + (bounds - before) * values[..., before]
    return np.asarray(np.diff(at_bounds) * (parts / side), np.float32)


def _coarser(maps: np.ndarray, cells: int) -> np.ndarray:
    """Maps averaged over fewer squares, whose number divides theirs."""
    factor = maps.shape[1] // cells
    return np.asarray(maps.reshape(len(maps), cells, factor, cells, factor).mean(axis=(2, 4)))


def _standardised(maps: np.ndarray) -> np.ndarray:
    """float32 [M, cells²]: maps of mean 0 and norm 1; a constant one is 0."""
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    norms = np.sqrt((flat * flat).sum(axis=1, keepdims=True))
    flat[norms[:, 0] < _CONSTANT * flat.shape[1]] = 0
    return np.asarray(flat / np.maximum(norms, _CONSTANT), np.float32)


def _ssim(pairs: Sequence[tuple[np.ndarray, np.ndarray]], match: _Match) -> float:
    """Structural similarity (Wang et al. 2004) of the two maps of a match, of one sign; mean over the images."""
    values = []
    for maps_of_both in pairs:
        first, second = (
            _standardised(_coarser(maps, match.cells))[which].reshape(match.cells, match.cells) * match.cells
            for maps, which in zip(maps_of_both, match.which, strict=True)
        )
        values.append(_ssim_of(first if (first * second).sum() >= 0 else -first, second))
    return float(np.mean(values))


def _ssim_of(first: np.ndarray, second: np.ndarray) -> float:
    """Structural similarity of two maps of variance 1, whose values are taken to span four standard deviations."""
    means = [_window_means(values) for values in (first, second)]
    squares = _window_means(first * first) + _window_means(second * second)
    covariance = _window_means(first * second) - means[0] * means[1]
    level, contrast = (0.01 * 4) ** 2, (0.03 * 4) ** 2
    spread = squares - means[0] ** 2 - means[1] ** 2
    likeness = (2 * means[0] * means[1] + level) * (2 * covariance + contrast)
    return float((likeness / ((means[0] ** 2 + means[1] ** 2 + level) * (spread + contrast))).mean())


def _window_means(values: np.ndarray) -> np.ndarray:
    side = min(_WINDOW, len(values))
    windows = np.lib.stride_tricks.sliding_window_view(values, (side, side))
    return np.asarray(windows.mean(axis=(2, 3)))
