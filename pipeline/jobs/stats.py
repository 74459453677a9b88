"""stats: each scheme's ciphertexts of real images, in the numbers that the field reports."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.pipeline.sources.samples import first_images
from lpe.transforms import ciphers, metrics
from lpe.transforms.errors import DataError

RANDOM = "random"


@dataclasses.dataclass(frozen=True)
class Change:
    """What a change of one bit does to the ciphertext: NPCR and UACI, in percent."""

    npcr: float
    uaci: float


@dataclasses.dataclass(frozen=True)
class Statistics:
    """One scheme's row; means over the images.

    Attributes:
      cipher: its name, or `random` for random bytes, which a perfect cipher could not be told from.
      entropy: bits per byte.
      chi_square: of the histogram, 255 degrees of freedom.
      horizontal, vertical, diagonal: correlation of neighbours.
      plaintext_change: the lowest bit of one byte, at a random place of each image.
      key_change: one bit of the secret that the key is derived from.
    """

    cipher: str
    entropy: float
    chi_square: float
    horizontal: float
    vertical: float
    diagonal: float
    plaintext_change: Change | None
    key_change: Change | None

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def measure(spec: ReadSpec, names: list[str], split: str | None, count: int) -> list[Statistics]:
    """The statistics of each scheme on the first `count` images of a split, and of random bytes.

    The keys are made from fixed secrets, so that the same images give the same table.

    Raises:
      DataError: the images differ in shape, or there are none.
      CipherError: a scheme does not admit their shape.
    """
    with open_plan(spec) as source:
        if source.dataset is not None and source.dataset.encrypted:
            raise DataError(f"{spec.source}: this dataset is encrypted; give plain images")
        if source.image_shape is None:
            raise DataError(f"{spec.source}: images differ in shape; pass --image-size HEIGHTxWIDTH")
        images = first_images(source, split, count)
    changed = _with_one_bit_changed(images)
    rows = [_of_scheme(name, images, changed) for name in names]
    noise = np.random.RandomState(0).randint(0, 256, images.shape).astype(np.uint8)
    return [*rows, _row(RANDOM, noise, None, None)]


def _of_scheme(name: str, images: np.ndarray, changed: np.ndarray) -> Statistics:
    secret = hashlib.sha256(f"lpe stats {name}".encode()).digest()
    near = bytes([secret[0] ^ 1]) + secret[1:]
    height, width, channels = images.shape[1:]
    cipher = ciphers.create(name, secret=secret, image_shape=(height, width, channels))
    other = ciphers.create(name, secret=near, image_shape=(height, width, channels))
    encrypted = cipher.encrypt(images)
    return _row(
        name,
        encrypted,
        _change(encrypted, cipher.encrypt(changed)),
        _change(encrypted, other.encrypt(images)),
    )


def _row(name: str, images: np.ndarray, plaintext: Change | None, key: Change | None) -> Statistics:
    return Statistics(
        cipher=name,
        entropy=metrics.entropy(images),
        chi_square=metrics.chi_square(images),
        horizontal=metrics.correlation(images, "horizontal"),
        vertical=metrics.correlation(images, "vertical"),
        diagonal=metrics.correlation(images, "diagonal"),
        plaintext_change=plaintext,
        key_change=key,
    )


def _change(first: np.ndarray, second: np.ndarray) -> Change:
    return Change(metrics.npcr(first, second), metrics.uaci(first, second))


def _with_one_bit_changed(images: np.ndarray) -> np.ndarray:
    changed = images.copy()
    flat = changed.reshape(len(images), -1)
    places = np.random.RandomState(0).randint(0, flat.shape[1], len(images))
    flat[np.arange(len(images)), places] ^= 1
    return changed
