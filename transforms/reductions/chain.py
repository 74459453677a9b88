"""Chains of reductions, such as `thumbnail=16,noise=32`: each reduces what the one before it gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from lpe.transforms.errors import UsageError, did_you_mean
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions.base import Reduction
from lpe.transforms.reductions.bits import Bits
from lpe.transforms.reductions.blur import Blur
from lpe.transforms.reductions.grey import Grey
from lpe.transforms.reductions.noise import Noise
from lpe.transforms.reductions.thumbnail import Thumbnail

LEARNED = "learned"
"""The reduction by an encoder that an owner fitted, `learned:PLACE`."""
_READ: dict[str, Callable[[str], Reduction]] = {
    Thumbnail.name: Thumbnail.read,
    Blur.name: Blur.read,
    Noise.name: Noise.read,
    Bits.name: Bits.read,
    Grey.name: Grey.read,
}


@dataclasses.dataclass(frozen=True)
class Chain:
    """Reductions, one after the other; none of them: images stay as they are.

    Attributes:
      steps: the reductions, first to last.
    """

    steps: tuple[Reduction, ...] = ()

    def __str__(self) -> str:
        """The chain as `parse` reads it."""
        return ",".join(map(str, self.steps))

    def __bool__(self) -> bool:
        """Whether it reduces anything."""
        return bool(self.steps)

    @property
    def random(self) -> bool:
        """Whether it needs a secret."""
        return any(step.random for step in self.steps)

    def reduced_shape(self, image_shape: ImageShape) -> ImageShape:
        """The shape of reduced images (H, W, C). Raises UsageError if such images cannot be reduced so."""
        for step in self.steps:
            image_shape = step.reduced_shape(image_shape)
        return image_shape

    def apply(self, images: np.ndarray, secret: bytes | None = None) -> np.ndarray:
        """Reduces images.

        Args:
          images: uint8 [N, H, W, C]; not changed.
          secret: 32 bytes, where the chain is `random`.

        Returns:
          uint8 [N, *reduced_shape]; `images` themselves where there is nothing to do.

        Raises:
          UsageError: images of this shape cannot be reduced so.
        """
        for step in self.steps:
            images = step.apply(images, secret)
        return images


def names() -> list[str]:
    """The reductions that a chain may have."""
    return [*_READ, LEARNED]


def parse(text: str, encoder: Callable[[str], Reduction] | None = None) -> Chain:
    """Reads a chain.

    Args:
      text: reductions, comma-separated: `NAME=VALUE`, `grey` or `learned:PLACE`; empty for none.
      encoder: opens the encoder at the PLACE of a learned reduction; None where there can be none.

    Raises:
      UsageError: an unknown reduction, or an argument that it does not take.
    """
    return Chain(tuple(_step(part.strip(), encoder) for part in text.split(",")) if text else ())


def _step(text: str, encoder: Callable[[str], Reduction] | None) -> Reduction:
    if text.startswith(f"{LEARNED}:"):
        if encoder is None:
            raise UsageError(f"{text}: an encoder is not known here")
        return encoder(text.removeprefix(f"{LEARNED}:"))
    name, _, value = text.partition("=")
    if name not in _READ:
        raise UsageError(
            f"unknown reduction {text!r}; there is thumbnail=SIDE, blur=SIGMA, noise=SD, bits=N, grey and learned:DIR"
            f"{did_you_mean(name, names())}"
        )
    return _READ[name](value)
