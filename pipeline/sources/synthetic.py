"""Procedural images, `synthetic:N`: ten learnable classes, any number, no download.

Every image is a function of (seed, split, index) alone, computed with a counter-based integer
hash and with + − × / floor and comparisons on float64. All of these are exact or correctly rounded
by IEEE 754, so the bytes are the same on every machine and with every NumPy version.
"""

from __future__ import annotations

import dataclasses
import hashlib
import types
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.sources.base import AnyPositions, Slice, Source, SourceBatch, SourceInfo
from lpe.transforms.errors import DataError, UsageError

SIZE = 32
CHANNELS = 3
_SPLITS = ("train", "test")  # a split's position here goes into the hash
_CHUNK = 256  # images drawn at once: their float64 planes still fit in the cache
_FORMAT = "lpe synthetic images, version 1"

_LABEL_COUNTER = 2**63  # of the split's generator; the counters below belong to the images
_NOISE_COUNTER = 64  # counters below it are parameters, from it on pixels


class SyntheticSource(Source):
    """`count` training images and `max(10, count // 5)` test images, 32×32×3, ten classes.

    A shape or a texture of random place, size, tilt, colours and polarity lies on clutter and noise.
    Single pixels say next to nothing about the class; a small CNN learns it in two short epochs.
    Classes are balanced: each ten consecutive positions from a multiple of ten on hold each class once.
    A longer source begins with the images of a shorter one. Opening costs nothing, whatever `count` is.

    Example:
      >>> with SyntheticSource(1000) as source:
      ...     batch = next(source.slice("train", np.arange(4)).batches(4, print))
      >>> batch.images.shape, batch.names[3]
      ((4, 32, 32, 3), 'train/0000003')

    Raises:
      UsageError: `count` is less than one.
    """

    def __init__(self, count: int, seed: int = 0) -> None:
        if count < 1:
            raise UsageError(f"synthetic:{count}: the number of images must be at least 1")
        self.uri = f"synthetic:{count}"
        self.seed = seed
        self.info = SourceInfo(
            name="synthetic",
            class_names=tuple(_MASKS),
            image_shape=(SIZE, SIZE, CHANNELS),
            splits=types.MappingProxyType({"train": count, "test": max(10, count // 5)}),
            bytes_per_image=SIZE * SIZE * CHANNELS,
        )

    def digest(self) -> str:
        """SHA-256 (hex) of what determines the images: the version of the drawing, seed and counts."""
        splits = ",".join(f"{name}={count}" for name, count in self.info.splits.items())
        return hashlib.sha256(f"{_FORMAT}|seed={self.seed}|{splits}".encode()).hexdigest()

    def slice(self, split: str, positions: AnyPositions) -> SyntheticSlice:
        """The images of `split` at `positions` (int64 [N], ascending).

        Raises:
          DataError: there is no such split, or a position lies outside it.
        """
        if split not in self.info.splits:
            raise DataError(f"{self.uri} has no split {split!r}; it has {', '.join(self.info.splits)}")
        examples = self.info.splits[split]
        if len(positions) and not (positions[:1].min() >= 0 and positions[-1:].max() < examples):
            raise DataError(f"{self.uri}: positions of split {split!r} must be in 0..{examples - 1}")
        return SyntheticSlice(self.seed, split, positions)


@dataclasses.dataclass(frozen=True, eq=False)
class SyntheticSlice(Slice):
    """The slice of a synthetic source: the images of a split at `positions` (int64 [N])."""

    seed: int
    split: str
    positions: AnyPositions

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        """Draws the slice in order; there are no bad records."""
        for start in range(0, len(self.positions), batch_size):
            positions = self.positions[start : start + batch_size]
            images, labels = draw(self.seed, self.split, positions)
            yield SourceBatch(
                offsets=np.arange(start, start + len(positions), dtype=np.int64),
                names=[f"{self.split}/{position:07d}" for position in positions.tolist()],
                images=images,
                labels=labels,
            )


def draw(seed: int, split: str, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws the images of `split` at `positions`.

    Args:
      seed: any integer; taken modulo 2^64.
      split: `train` or `test`.
      positions: int64 [N], non-negative.

    Returns:
      Images uint8 [N, 32, 32, 3] and labels int64 [N] in 0..9.
    """
    stream = _hash(_uint64(seed), _uint64(_SPLITS.index(split)))
    index = positions.astype(np.uint64)
    labels = _labels(stream, index)
    images = np.empty((len(index), SIZE, SIZE, CHANNELS), np.uint8)
    for start in range(0, len(index), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        images[chunk] = _paint(_hash(stream, index[chunk]), labels[chunk])
    return images, labels


def _uint64(value: int) -> NDArray[np.uint64]:
    """uint64 [1] holding `value` modulo 2^64: arrays wrap around in silence, NumPy's scalars warn."""
    return np.array([value % 2**64], np.uint64)


def _hash(state: NDArray[np.uint64], counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Output `counter` of the splitmix64 generator in `state`; both uint64, broadcast together."""
    z: NDArray[np.uint64] = state + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


class _Parameters:
    """The random parameters of N images: every call takes the next counter of each image's generator (uint64 [N])."""

    def __init__(self, states: NDArray[np.uint64]) -> None:
        self._states = states
        self._counter = 0

    def uniform(self, low: float, high: float) -> NDArray[np.float64]:
        """float64 [N, 1] in [low, high)."""
        bits = _hash(self._states, _uint64(self._counter)) >> np.uint64(11)
        self._counter += 1
        return (low + (high - low) * (bits.astype(np.float64) / 2.0**53))[:, None]

    def sign(self) -> NDArray[np.float64]:
        """float64 [N, 1], −1 or 1."""
        return np.where(self.uniform(0, 1) < 0.5, -1.0, 1.0)

    def colours(self, low: int, high: int) -> NDArray[np.uint32]:
        """uint32 [N, 1], red + 256·green + 256²·blue, each in low..high−1."""
        red, green, blue = (self.uniform(low, high).astype(np.uint32) for _ in range(CHANNELS))
        packed: NDArray[np.uint32] = red + np.uint32(256) * green + np.uint32(65536) * blue
        return packed


def _labels(stream: NDArray[np.uint64], index: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Ten consecutive positions hold the ten classes in one of 40 orders (an affine map modulo 10)."""
    group = _hash(_hash(stream, _uint64(_LABEL_COUNTER)), index // np.uint64(10))
    factor = np.array([1, 3, 7, 9], np.uint64)[(group & np.uint64(3)).astype(np.int64)]
    labels: NDArray[np.uint64] = (factor * (index % np.uint64(10)) + (group >> np.uint64(32))) % np.uint64(10)
    return labels.astype(np.int64)


def _paint(states: NDArray[np.uint64], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Images uint8 [N, 32, 32, 3] of the classes `labels` (int64 [N]) from uint64 [N] generators."""
    parameters = _Parameters(states)
    # Light on dark or dark on light: at least 33 grey levels apart in each channel.
    light, dark = parameters.colours(128, 224), parameters.colours(0, 96)
    swap = parameters.sign() < 0
    shape, ground = np.where(swap, dark, light), np.where(swap, light, dark)

    layers = [_clutter_mask(parameters) for _ in range(2)] + [_shape_mask(parameters, labels)]
    colours = [parameters.colours(0, 224) for _ in range(2)] + [shape]
    layer = np.zeros((len(labels), SIZE, SIZE), np.uint8)  # 0: ground; later layers hide earlier ones
    for number, mask in enumerate(layers, start=1):
        np.copyto(layer, np.uint8(number), where=mask)
    palette = np.concatenate([ground, *colours], axis=1)
    pixels = np.take_along_axis(palette, layer.reshape(len(labels), -1), axis=1)

    # Each 64-bit hash is noise for two pixels: 0..31 a channel. Colours end at 223, so no byte overflows.
    counter = np.arange(SIZE * SIZE // 2, dtype=np.uint64) + np.uint64(_NOISE_COUNTER)
    noise = _hash(states[:, None], counter).astype("<u8").view("<u4")
    pixels = (pixels + (noise & np.uint32(0x1F1F1F))).astype("<u4")
    images: NDArray[np.uint8] = pixels.view(np.uint8).reshape(len(labels), SIZE, SIZE, 4)[..., :CHANNELS]
    return images


def _clutter_mask(parameters: _Parameters) -> NDArray[np.bool_]:
    """A rectangle of 2 to 6 pixels a side in each image, as bool [N, 32, 32]."""
    pixel = np.arange(SIZE, dtype=np.float64)
    inside = []
    for _ in range(2):
        start, length = parameters.uniform(0, SIZE - 2), parameters.uniform(2, 6)
        inside.append((pixel >= start) & (pixel < start + length))
    return inside[0][:, :, None] & inside[1][:, None, :]


def _shape_mask(parameters: _Parameters, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The pixels of each image's shape, as bool [N, 32, 32]."""
    radius = parameters.uniform(7, 12)
    room = SIZE / 2 - radius
    centre_x = SIZE / 2 + room * parameters.uniform(-1, 1)
    centre_y = SIZE / 2 + room * parameters.uniform(-1, 1)
    mirror = parameters.sign()
    # A rotation by 2·atan(t), about ±14° at most, in rational form: no sine that libraries round differently.
    t = parameters.uniform(-0.12, 0.12)
    cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)

    pixel = np.arange(SIZE, dtype=np.float64) + 0.5
    x = mirror * (pixel - centre_x) / radius
    y = (pixel - centre_y) / radius
    along, across = (cosine * x, sine * x), (-(sine * y), cosine * y)
    mask = np.empty((len(labels), SIZE, SIZE), bool)
    for label, inside in enumerate(_MASKS.values()):
        rows = np.flatnonzero(labels == label)
        u = along[0][rows, None, :] + across[0][rows, :, None]
        v = along[1][rows, None, :] + across[1][rows, :, None]
        mask[rows] = inside(u, v)
    return mask


def _fraction(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 in [0, 1): `value` above its floor; what is made of it repeats with period 1."""
    return value - np.floor(value)


def _dots(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.bool_]:
    u, v = _fraction(u * 1.25) - 0.5, _fraction(v * 1.25) - 0.5
    return u * u + v * v < 0.09


# Class name -> mask from coordinates u (right), v (down), float64, relative to the centre, in radii.
_MASKS: Mapping[str, Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]] = {
    "disc": lambda u, v: u * u + v * v < 1,
    "ring": lambda u, v: np.abs(u * u + v * v - 0.65) < 0.35,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) < 0.85,
    "triangle": lambda u, v: (v < 0.8) & (np.abs(u) < 0.6 * (v + 1.0)),
    "cross": lambda u, v: (np.minimum(np.abs(u), np.abs(v)) < 0.28) & (np.maximum(np.abs(u), np.abs(v)) < 1),
    "horizontal_stripes": lambda u, v: _fraction(v * 1.25) < 0.5,
    "vertical_stripes": lambda u, v: _fraction(u * 1.25) < 0.5,
    "diagonal_stripes": lambda u, v: _fraction((u + v) * 0.9) < 0.5,
    "checkerboard": lambda u, v: (_fraction(u) < 0.5) ^ (_fraction(v) < 0.5),
    "dots": _dots,
}
