"""stats: each scheme's ciphertexts of real images, in the figures that the field reports."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lpe.pipeline.encryption.reduced_reader import reduced_for_show
from lpe.pipeline.encryption.reduction import given_chain
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.pipeline.sources.samples import first_images
from lpe.transforms import ciphers, metrics
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import image_shape_of
from lpe.transforms.tables import rows_html
from lpe.transforms.visibility import Images, Visibility, visibility

HEADINGS = ("cipher", "entr.", "chi²", "corr. → ↓ ↘", "seen")
"""Of `Statistics.row`."""
_RANDOM = "random"
_PLAIN = "plain"
_SEEN_IMAGES = 32
"""The first so many images are enough to tell what eyes see."""


@dataclasses.dataclass(frozen=True)
class Change:
    """What a change of one bit does to the ciphertext (Wu, Noonan and Agaian 2011).

    Attributes:
      npcr: number of changing pixel rate, in percent.
      uaci: unified average changing intensity, in percent.
    """

    npcr: float
    uaci: float

    def __str__(self) -> str:
        return f"{self.npcr:.2f}/{self.uaci:.2f}"


@dataclasses.dataclass(frozen=True)
class Statistics:
    """One scheme's row; means over the images.

    Attributes:
      cipher: its name, or `random` for random bytes, which a perfect cipher could not be told from.
      entropy: Shannon entropy, bits per byte, 0..8.
      chi_square: of the histogram of bytes, 255 degrees of freedom.
      horizontal: correlation of neighbours in a row, -1..1.
      vertical: correlation of neighbours in a column.
      diagonal: correlation of neighbours on a diagonal.
      plaintext_change: what the lowest bit of one byte changes, at a random place of each image; None for `random`.
      key_change: what one bit of the secret that the key is derived from changes; None for `random`.
      visibility: what eyes see of the first images; None where the plain images are not at hand.
    """

    cipher: str
    entropy: float
    chi_square: float
    horizontal: float
    vertical: float
    diagonal: float
    plaintext_change: Change | None
    key_change: Change | None
    visibility: Visibility | None = None

    def to_json(self) -> dict[str, Any]:
        """One entry of `schemes`."""
        seen = None if self.visibility is None else self.visibility.to_json()
        return {**dataclasses.asdict(self), "visibility": seen}

    def row(self) -> list[str]:
        """A row of a summary table: what the images look like, without the changes."""
        correlations = (self.horizontal, self.vertical, self.diagonal)
        return [
            self.cipher,
            f"{self.entropy:.2f}",
            f"{self.chi_square:.0f}",
            " ".join(f"{value:.2f}".replace("0.", ".").rjust(4) for value in correlations),
            "" if self.visibility is None else f"{self.visibility.correlation:.2f}",
        ]


@dataclasses.dataclass(frozen=True)
class StatisticsTable:
    """The statistics of several schemes on the same images.

    Attributes:
      images: how many images were asked for.
      schemes: a row each, and one of random bytes at the end.
    """

    images: int
    schemes: tuple[Statistics, ...]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of a summary table."""
        rows = [
            [*row.row(), str(row.plaintext_change or ""), str(row.key_change or "")] for row in self.schemes
        ]
        return [*HEADINGS, "1 plain bit", "1 key bit"], rows

    @property
    def seen(self) -> str:
        """What eyes see, a line: each word with the schemes that it is true of."""
        by_word: dict[str, list[str]] = {}
        for row in self.schemes:
            if row.visibility is not None and row.cipher != _RANDOM:
                by_word.setdefault(row.visibility.seen, []).append(row.cipher)
        return "; ".join(f"{word}: {', '.join(names)}" for word, names in by_word.items())

    def _repr_html_(self) -> str:
        return rows_html(f"means over {self.images} images", *self.table())

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {"images": self.images, "schemes": [row.to_json() for row in self.schemes]}


def stats(
    read: ReadSpec, ciphers: Sequence[str], split: str | None = None, count: int = 500, reduction: str = ""
) -> StatisticsTable:
    """Measures each scheme on the first images of a split, and random bytes.

    The keys are made from fixed secrets, so that the same images give the same table.

    Args:
      read: plain images of one shape.
      ciphers: the schemes.
      split: the split; None for `test`, or else the first one.
      count: how many images, at most.
      reduction: what is done to the images before, see `CipherChoice`; empty for nothing.

    Raises:
      UsageError: the images cannot be reduced so.
      DataError: the images are encrypted or differ in shape, or there are none.
      CipherError: an unknown scheme, or one that does not admit their shape.
    """
    with open_plan(read) as plan:
        plan.require_plain("give plain images")
        if plan.image_shape is None:
            raise DataError(f"{read.source}: images differ in shape; pass --image-size HEIGHTxWIDTH")
        whole = first_images(plan, split, min(count, _SEEN_IMAGES))
        images = first_images(reduced_for_show(plan, given_chain(reduction)), split, count)
    changed = _with_one_bit_changed(images)
    rows = [_of_scheme(name, images, changed, whole) for name in ciphers]
    noise = np.random.RandomState(0).randint(0, 256, images.shape).astype(np.uint8)
    random = dataclasses.replace(_row(_RANDOM, noise, None, None), visibility=_visibility(noise, whole))
    return StatisticsTable(count, (*rows, random))


def _of_scheme(name: str, images: np.ndarray, changed: np.ndarray, whole: np.ndarray) -> Statistics:
    secret = hashlib.sha256(f"lpe stats {name}".encode()).digest()
    near = bytes([secret[0] ^ 1]) + secret[1:]
    cipher = ciphers.create(name, secret=secret, image_shape=image_shape_of(images))
    other = ciphers.create(name, secret=near, image_shape=image_shape_of(images))
    encrypted = cipher.encrypt(images)
    row = _row(
        name,
        encrypted,
        _change(encrypted, cipher.encrypt(changed)),
        _change(encrypted, other.encrypt(images)),
    )
    return dataclasses.replace(row, visibility=_visibility(encrypted, whole))


def of_images(rows: Mapping[str, Sequence[np.ndarray]]) -> list[Statistics]:
    """Statistics of images that are at hand, and of random bytes of the same shapes.

    Args:
      rows: by name, some images, uint8 [H, W, C] each, of any shapes; what is seen of those named `plain` in the
        others is measured.
    """
    random = np.random.RandomState(0)
    shapes = [image.shape for image in next(iter(rows.values()))]
    noise = [random.randint(0, 256, shape).astype(np.uint8) for shape in shapes]
    plain = rows.get(_PLAIN)
    return [_mean(name, images, plain) for name, images in {**rows, _RANDOM: noise}.items()]


def _visibility(images: Images, plain: Images) -> Visibility:
    return visibility(images[:_SEEN_IMAGES], plain[:_SEEN_IMAGES])


def _mean(name: str, images: Sequence[np.ndarray], plain: Sequence[np.ndarray] | None) -> Statistics:
    each = [_row(name, image[np.newaxis], None, None) for image in images]
    return Statistics(
        cipher=name,
        entropy=float(np.mean([row.entropy for row in each])),
        chi_square=float(np.mean([row.chi_square for row in each])),
        horizontal=float(np.mean([row.horizontal for row in each])),
        vertical=float(np.mean([row.vertical for row in each])),
        diagonal=float(np.mean([row.diagonal for row in each])),
        plaintext_change=None,
        key_change=None,
        visibility=None if plain is None else _visibility(images, plain),
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
