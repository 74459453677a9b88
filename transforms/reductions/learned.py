"""What an encoder keeps that its owner fitted to their own images."""

from __future__ import annotations

import dataclasses
import re
from typing import NoReturn

import numpy as np

from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable
from lpe.transforms.reductions.base import Reduction
from lpe.transforms.reductions.encoder import Encoder

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Learned(NotPicklable, Reduction):
    """An owner's encoder.

    Args:
      encoder: the encoder; it is a secret like a key, and so in no pickle and not printed.
    """

    name = "learned"
    takes = "the folder that lpe fit-reduction wrote"

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def __str__(self) -> str:
        """`learned:DIGEST`: not where the encoder lies, but which one it is."""
        return f"{self.name}:{self.encoder.digest}"

    def __eq__(self, other: object) -> bool:
        """Whether it is the same encoder."""
        return isinstance(other, Learned) and self.encoder.digest == other.encoder.digest

    def __hash__(self) -> int:
        """See `__eq__`."""
        return hash(self.encoder.digest)

    def reduced_shape(self, image_shape: ImageShape) -> ImageShape:
        """See `Reduction`."""
        self.encoder.check(image_shape)
        return self.encoder.released_shape

    def apply(self, images: np.ndarray, secret: bytes | None = None) -> np.ndarray:
        """See `Reduction`."""
        return self.encoder.encode(images)


@dataclasses.dataclass(frozen=True)
class Unopened(Reduction):
    """An encoder of which the digest alone is known, as to whoever has a dataset and no key.

    Attributes:
      digest: SHA-256 of the encoder's bytes, 64 hex digits.
    """

    digest: str
    name = Learned.name
    takes = "the digest of an encoder"

    @classmethod
    def read(cls, value: str) -> Unopened:
        """From its argument. Raises UsageError."""
        if not _DIGEST.fullmatch(value):
            raise UsageError(f"{cls.name}:{value}: not the digest of an encoder, which has 64 hex digits")
        return cls(value)

    def __str__(self) -> str:
        """See `Reduction`."""
        return f"{self.name}:{self.digest}"

    def reduced_shape(self, image_shape: ImageShape) -> NoReturn:
        """See `Reduction`. Raises UsageError always."""
        self._refuse()

    def apply(self, images: np.ndarray, secret: bytes | None = None) -> NoReturn:
        """See `Reduction`. Raises UsageError always."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError(f"{self}: the encoder lies in the key store, and is needed here; pass --keystore")
