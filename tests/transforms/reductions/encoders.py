"""Small encoders of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions.convolution import Convolution
from lpe.transforms.reductions.encoder import Encoder


def small_encoder(seed: int = 0, image_shape: ImageShape = (32, 32, 3), side: int | None = None) -> Encoder:
    """From images to two channels of a quarter of their sides, whose values are spread over 0..255."""
    random = np.random.default_rng(seed)

    def convolution(kernel: int, before: int, after: int, stride: int, shift: int, bias: int) -> Convolution:
        weights = random.integers(-9000, 9000, (kernel, kernel, before, after), dtype=np.int16)
        return Convolution(weights, random.integers(0, bias, after), stride, shift)

    layers = (
        convolution(3, image_shape[2], 4, 2, 8, 1 << 20),
        convolution(3, 4, 5, 2, 14, 1 << 26),
        convolution(1, 5, 2, 1, 21, 1 << 29),
    )
    return Encoder(image_shape, side, layers)


def written(encoder: Encoder, folder: Path) -> Path:
    """A folder with an encoder, as `lpe fit-reduction` writes it."""
    folder.mkdir()
    (folder / "encoder.bin").touch(0o600)
    (folder / "encoder.bin").write_bytes(encoder.to_bytes())
    return folder


def images(count: int, image_shape: ImageShape = (32, 32, 3), seed: int = 1) -> np.ndarray:
    """Random ones."""
    return np.random.default_rng(seed).integers(0, 256, (count, *image_shape), np.uint8)
