"""Images for attacks: the real ones where they are, else soft blobs of colour, which have what counts."""

from __future__ import annotations

import numpy as np

from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.pipeline.sources.samples import first_images
from tests.conftest import SHARED

REAL = SHARED / "cifar-10-binary-6k.tar.gz"


def photographs(count: int) -> np.ndarray:
    """uint8 [N,32,32,3]: CIFAR-10, or a stand-in where that is not here."""
    if REAL.is_file():
        with open_plan(ReadSpec(f"cifar:{REAL}")) as source:
            return first_images(source, "train", count)
    return blobs(count, (32, 32, 3))


def blobs(count: int, shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Smooth images with edges, like-coloured channels, and more dark than light; uint8 [N,H,W,C]."""
    rng = np.random.default_rng(seed)
    height, width, channels = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    out = np.empty((count, *shape), np.uint8)
    for image in out:
        light = 90 + 25 * (1 - 2 * y / height) + np.zeros_like(x)
        for _ in range(5):
            cy, cx, size = (
                rng.uniform(0, height),
                rng.uniform(0, width),
                rng.uniform(2, 2 + max(height, width) / 2),
            )
            inside = ((y - cy) ** 2 + (x - cx) ** 2) < size**2
            light = np.where(inside, light * 0.3 + rng.gamma(2.0, 45.0), light)
        tint = np.array([8.0, 2.0, -8.0])[:channels] + rng.normal(0, 12, channels)
        noisy = light[..., None] + tint + rng.normal(0, 2.5, (height, width, channels))
        image[...] = np.clip(noisy, 0, 255)
    return out


def psnr(estimate: np.ndarray, plain: np.ndarray) -> float:
    """In dB over all images together; 100 if they are equal."""
    squares = float(((estimate.astype(np.float64) - plain) ** 2).mean())
    return 100.0 if squares == 0 else 10 * float(np.log10(255**2 / squares))


def floor(plain: np.ndarray, cipher: np.ndarray) -> float:
    """What costs no thought: the better of the ciphertext as it is and the images' mean colour."""
    mean = np.broadcast_to(plain.mean(axis=(0, 1, 2)).round().astype(np.uint8), plain.shape)
    return max(psnr(mean, plain), psnr(cipher, plain))
