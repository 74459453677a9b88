"""Gaussian noise that an image always gets again, so that nobody can average it away."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import statistics

import numpy as np

from lpe.transforms import labels
from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions.base import Reduction, whole_number

_SECRET_BYTES = 32


@dataclasses.dataclass(frozen=True)
class Noise(Reduction):
    """Gaussian noise, added and cut to 0..255.

    It follows from a secret and from the image itself: the same image has the same noise in every version and
    re-encryption, under whatever id, and averaging them gains nothing; two images never share theirs.

    Attributes:
      sd: its standard deviation, of 255.
    """

    sd: int
    name = "noise"
    takes = "the standard deviation, of 255"
    reshapes = False
    random = True

    @classmethod
    def read(cls, value: str) -> Noise:
        """From its argument. Raises UsageError."""
        return cls(whole_number(cls.name, value, 1, 255))

    def __str__(self) -> str:
        """See `Reduction`."""
        return f"{self.name}={self.sd}"

    def reduced_shape(self, image_shape: ImageShape) -> ImageShape:
        """See `Reduction`."""
        return image_shape

    def apply(self, images: np.ndarray, secret: bytes | None = None) -> np.ndarray:
        """See `Reduction`. Raises UsageError without a secret of 32 bytes."""
        if secret is None or len(secret) != _SECRET_BYTES:
            raise UsageError(f"{self}: noise needs a secret of {_SECRET_BYTES} bytes")
        out = np.empty_like(images, order="C")
        table = _quantiles(self.sd)
        for i, image in enumerate(images):
            out[i] = np.clip(image + table[self._draws(image, secret)], 0, 255)
        return out

    def _draws(self, image: np.ndarray, secret: bytes) -> np.ndarray:
        """Uniform numbers for an image, uint16 of its shape: SHAKE-256 of secret, label and image."""
        digest = hashlib.sha256(image.tobytes()).digest()
        stream = hashlib.shake_256(secret + labels.noise(str(self), image.shape, digest))
        return np.frombuffer(stream.digest(2 * image.size), "<u2").reshape(image.shape)


@functools.cache
def _quantiles(sd: int) -> np.ndarray:
    """The normal distribution's quantiles at the middle of 65,536 equal parts, rounded: int16 [65536]."""
    normal = statistics.NormalDist(0, sd)
    upper = np.array([normal.inv_cdf((i + 0.5) / 65536) for i in range(32768, 65536)]).round()
    return np.concatenate([-upper[::-1], upper]).astype(np.int16)
