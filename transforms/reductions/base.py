"""The interface of all reductions: what each does to images before they are encrypted."""

from __future__ import annotations

import abc
from typing import ClassVar

import numpy as np

from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape


class Reduction(abc.ABC):
    """One way of giving away less of an image, which cannot be undone.

    Reductions are values. The same image, under the same secret, always gives the same bytes, on any machine.
    """

    name: ClassVar[str]
    """As it is written in a chain, e.g. `thumbnail`."""
    takes: ClassVar[str]
    """Its argument in words; empty for a reduction without one."""
    random: ClassVar[bool] = False
    """Whether it draws random numbers, and so needs a secret."""
    reshapes: ClassVar[bool] = True
    """Whether reduced images have another shape, so that images of many shapes cannot be reduced so."""

    @abc.abstractmethod
    def __str__(self) -> str:
        """The reduction as it is written in a chain, e.g. `thumbnail=16`."""

    @abc.abstractmethod
    def reduced_shape(self, image_shape: ImageShape) -> ImageShape:
        """The shape of reduced images.

        Args:
          image_shape: (H, W, C) of the images.

        Raises:
          UsageError: images of this shape cannot be reduced so.
        """

    @abc.abstractmethod
    def apply(self, images: np.ndarray, secret: bytes | None = None) -> np.ndarray:
        """Reduces images.

        Args:
          images: uint8 [N, H, W, C]; not changed.
          secret: 32 bytes, for a reduction that is `random`.

        Returns:
          uint8 [N, *reduced_shape].

        Raises:
          UsageError: images of this shape cannot be reduced so.
        """


def whole_number(reduction: str, value: str, least: int, most: int) -> int:
    """The argument of a reduction as a whole number. Raises UsageError for anything else."""
    if not (value.isascii() and value.isdigit() and len(value) <= 5 and least <= int(value) <= most):
        raise UsageError(f"{reduction}={value}: give a whole number from {least} to {most}")
    return int(value)
