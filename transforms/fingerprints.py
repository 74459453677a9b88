"""Statistics of an image that an encryption leaves as they are, or nearly: fingerprints by which it is known again.

Each is taken of ciphertexts and of photographs; how much of it survives a scheme, its user measures. Some schemes and
what they keep, even with a fresh key for every image:

    distances from middle grey      pbe (a byte or its negative), in place
    lowest bits without the chain   lpe (a byte and a byte of its keystream are added, and the keystream is taken off)
    differences between channels    cpbe (all channels of a pixel are XORed with one byte)
    nibbles of blocks               le (a block's nibbles in another order, or negative)
    sorted blocks, histograms       etc, ele, vit-block (blocks in another order)
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from lpe.transforms.image_shape import ImageShape

_VALUES = 768
"""Features of a statistic that is taken in place, at most: of so many bytes, spread over the image."""
_BLOCKS = 512
_QUANTILES = 256
_CHUNK_VALUES = 1 << 22
"""Bytes of images that are looked at together."""
_BYTES = np.arange(256)
_COARSE = _BYTES >> 3
_FOLDED = np.abs(2 * _BYTES - 255).astype(np.uint8)
_NIBBLES = np.minimum([_BYTES >> 4, _BYTES & 15], [15 - (_BYTES >> 4), 15 - (_BYTES & 15)]).astype(np.uint8)
"""Of each byte: its bin in a coarse histogram, its distance from middle grey, and its two nibbles."""
_Features = Callable[[np.ndarray], np.ndarray]
"""uint8 [N, H, W, C] -> [N, F]."""


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """A statistic.

    Attributes:
      name: in words.
      of_ciphertexts, of_images: its values, of uint8 [N, H, W, C]: float32 [N, F], F at most some thousands.
    """

    name: str
    of_ciphertexts: _Features
    of_images: _Features


def fingerprints(image_shape: ImageShape) -> list[Fingerprint]:
    """The statistics that can be taken of images of a shape (H, W, C)."""
    height, width, channels = image_shape
    found = [
        _alike("lowest bits", lambda images: _here(images) & 1),
        Fingerprint(
            "lowest bits without the chain",
            _chunked(lambda images: _unchained(images) & 1),
            _chunked(lambda images: _here(images) & 1),
        ),
        _alike("distances from middle grey", lambda images: np.sort(_folded(_here(images)), axis=2)),
        _alike("bytes", _here),
        _alike("means and deviations", _moments),
        _alike("histogram", lambda images: _histogram(images, _COARSE[None])),
        _alike(
            "histogram of distances from middle grey", lambda images: _histogram(images, _FOLDED[None] >> 1)
        ),
        _alike("histogram of nibbles", lambda images: _histogram(images, _NIBBLES)),
    ]
    if channels > 1:
        found.append(_alike("differences between channels", _between_channels))
    for side in (4, 8, 16):
        if height % side == 0 and width % side == 0 and (height, width) != (side, side):
            found += _of_blocks(side)
    return found


def _of_blocks(side: int) -> list[Fingerprint]:
    """The statistics of blocks of side×side pixels."""

    def nibbles(images: np.ndarray) -> np.ndarray:
        blocks = _blocks(_nibbles(images), side)
        blocks = blocks[:, _spread(blocks.shape[1], _BLOCKS)]
        return np.stack([(blocks == value).sum(axis=2) for value in range(8)], axis=2)

    def by_order(images: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [
                _quantiles(_blocks(values, side).sum(axis=2, dtype=np.int64))
                for values in (images, _folded(images), _nibbles(images))
            ],
            axis=1,
        )

    return [
        _alike(f"{side}×{side} blocks by order", by_order),
        _alike(f"nibbles of {side}×{side} blocks", nibbles),
    ]


def _alike(name: str, features: _Features) -> Fingerprint:
    """A statistic that is taken of ciphertexts and of images in the same way."""
    return Fingerprint(name, _chunked(features), _chunked(features))


def _chunked(features: _Features) -> _Features:
    """The same for a few images at a time, flat."""

    def of_all(images: np.ndarray) -> np.ndarray:
        count = max(1, _CHUNK_VALUES // max(1, images[:1].size))
        parts = [features(images[at : at + count]) for at in range(0, len(images), count)]
        return np.concatenate([part.reshape(len(part), -1).astype(np.float32) for part in parts])

    return of_all


@functools.cache
def _spread(there: int, most: int) -> np.ndarray:
    """So many of the numbers below `there`, at most, always the same."""
    if there <= most:
        return np.arange(there)
    return np.sort(np.random.default_rng(0).choice(there, most, replace=False))


def _here(images: np.ndarray) -> np.ndarray:
    """Some pixels of each image in raster order, uint8 [N, P, C]."""
    pixels = images.reshape(len(images), -1, images.shape[3])
    return pixels[:, _spread(pixels.shape[1], _VALUES // images.shape[3])]


def _between_channels(images: np.ndarray) -> np.ndarray:
    """The same pixels, each channel after the first XORed with that."""
    here = _here(images)
    return here[..., 1:] ^ here[..., :1]


def _unchained(images: np.ndarray) -> np.ndarray:
    """The same pixels, each XORed with the one before it."""
    pixels = images.reshape(len(images), -1, images.shape[3])
    here = _spread(pixels.shape[1], _VALUES // images.shape[3])
    before = pixels[:, here - 1]
    before[:, here == 0] = 0
    return pixels[:, here] ^ before


def _folded(values: np.ndarray) -> np.ndarray:
    """|2 v − 255|, which a byte and its negative share, uint8."""
    return _FOLDED[values]


def _nibbles(images: np.ndarray) -> np.ndarray:
    """Both nibbles of each byte, those of a nibble and its negative being alike: uint8 [N, H, W, 2·C] of 0..7."""
    return np.concatenate([table[images] for table in _NIBBLES], axis=3)


def _moments(images: np.ndarray) -> np.ndarray:
    """Mean, variance and mean difference of neighbours, of each channel: float32 [N, 3·C]."""
    values = images.astype(np.float32)
    across = np.abs(np.diff(values, axis=2)).mean(axis=(1, 2)) if images.shape[2] > 1 else 0 * values[:, 0, 0]
    return np.concatenate([values.mean(axis=(1, 2)), values.std(axis=(1, 2)), across], axis=1)


def _histogram(images: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """How often values of each kind occur in each image.

    Args:
      images: uint8 [N, H, W, C].
      kinds: int [T, 256]: what kind a byte is, or several kinds that are counted together.

    Returns:
      float64 [N, highest kind + 1].
    """
    count = len(images)
    bytes_of = np.bincount(
        (images.reshape(count, -1) + (np.arange(count) << 8)[:, None]).reshape(-1), minlength=256 * count
    )
    counted = (kinds[..., None] == np.arange(kinds.max() + 1)).sum(axis=0)
    return np.asarray(bytes_of.reshape(count, 256) @ counted.astype(np.float64))


def _blocks(values: np.ndarray, side: int) -> np.ndarray:
    """The values of each block, blocks in raster order: [N, H, W, C] -> [N, B, side·side·C]."""
    count, height, width, channels = values.shape
    tiles = values.reshape(count, height // side, side, width // side, side, channels)
    return tiles.transpose(0, 1, 3, 2, 4, 5).reshape(count, -1, side * side * channels)


def _quantiles(values: np.ndarray) -> np.ndarray:
    """Each row in ascending order, of long ones some values: [N, B] -> [N, at most 256]."""
    return np.sort(values, axis=1)[:, _spread(values.shape[1], _QUANTILES)]
