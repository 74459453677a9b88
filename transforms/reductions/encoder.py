"""Encoders of images: convolutions in whole numbers, which give the same bytes on every machine.

An image, shrunk by box means where it is large, goes through convolutions. Weights are int16, activations uint8 or
uint16, and each sum of products is far below 2^53, so that float64 has it exactly in whatever order it is added. A sum
is divided by a power of two, rounded half up and cut to what the next activation holds, which is the ReLU as well.

As bytes, all numbers little-endian: `lpe-encoder/1` and a line feed; height, width and channels of images and the side
that they are shrunk to (0: they are not), uint32; the number of convolutions, uint8; and of each its kernel, stride and
shift, uint8, channels before and after, uint16, weights, int16, and biases, int64.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import struct

import numpy as np

from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.not_picklable import NotPicklable
from lpe.transforms.reductions.convolution import Convolution
from lpe.transforms.reductions.thumbnail import Thumbnail

MOST_BYTES = 4 << 20
"""Of an encoder."""
MOST_SIDE = 128
"""The longest side of images in the convolutions."""
_MOST_CONVOLUTIONS = 16
_MOST_IMAGE_SIDE = 1 << 16
_MAGIC = b"lpe-encoder/1\n"
_START = struct.Struct("<4IB")
_CONVOLUTION = struct.Struct("<3B2H")
_MOST_BETWEEN = 65535
_MOST_RELEASED = 255
_CHUNK_VALUES = 1 << 17


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Encoder(NotPicklable):
    """What an owner fitted to their images: it keeps what the labels need.

    It is a secret like a key: who has it and the released values trains a decoder. It cannot be pickled or printed.

    Attributes:
      image_shape: (H, W, C) of the images that it takes.
      side: the longer side that they are shrunk to first; None where they are not.
      convolutions: first to last.

    Raises:
      DataError: the parts do not go together.
    """

    image_shape: ImageShape
    side: int | None
    convolutions: tuple[Convolution, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.convolutions) <= _MOST_CONVOLUTIONS:
            raise DataError(
                f"an encoder has 1 to {_MOST_CONVOLUTIONS} convolutions, not {len(self.convolutions)}"
            )
        if not all(1 <= side <= _MOST_IMAGE_SIDE for side in self.image_shape):
            raise DataError("an encoder takes no images of such a shape")
        channels = self.image_shape[2]
        for convolution in self.convolutions:
            if convolution.weights.shape[2] != channels:
                raise DataError("an encoder's convolutions do not follow one another")
            channels = convolution.weights.shape[3]
        if max(self._shrunk_shape[:2]) > MOST_SIDE:
            raise DataError(f"an encoder's convolutions take at most {MOST_SIDE} pixels a side")

    @functools.cached_property
    def released_shape(self) -> ImageShape:
        """The shape of what it makes of an image (H', W', K)."""
        height, width, channels = self._shrunk_shape
        for convolution in self.convolutions:
            height, width = convolution.after(height, width)
            channels = convolution.weights.shape[3]
        return height, width, channels

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of its bytes, in hex digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def of_shrunk(self) -> Encoder:
        """The same for images that are shrunk already."""
        return dataclasses.replace(self, image_shape=self._shrunk_shape, side=None)

    def to_bytes(self) -> bytes:
        """It as bytes; the same encoder always has the same."""
        parts = [_MAGIC, _START.pack(*self.image_shape, self.side or 0, len(self.convolutions))]
        for each in self.convolutions:
            kernel, _, before, after = each.weights.shape
            parts += [
                _CONVOLUTION.pack(kernel, each.stride, each.shift, before, after),
                each.weights.astype("<i2").tobytes(),
                each.bias.astype("<i8").tobytes(),
            ]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Encoder:
        """The inverse of `to_bytes`.

        Args:
          content: the bytes, whoever wrote them.
          where: their file, for messages.

        Raises:
          DataError: they are not an encoder's.
        """
        try:
            if len(content) > MOST_BYTES:
                raise DataError(f"larger than {MOST_BYTES >> 20} MB")
            return cls._read(_Bytes(content))
        except DataError as error:
            raise DataError(
                f"{where}: no encoder ({error}); restore it from a copy, or fit one anew: lpe fit-reduction"
            ) from None

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Encodes images.

        Args:
          images: uint8 [N, H, W, C]; not changed.

        Returns:
          uint8 [N, H', W', K].

        Raises:
          UsageError: images of another shape than it was fitted to.
        """
        self.check(image_shape_of(images))
        out = np.empty((len(images), *self.released_shape), np.uint8)
        count = max(1, _CHUNK_VALUES // self._values)
        for start in range(0, len(images), count):
            out[start : start + count] = self._encode(images[start : start + count])
        return out

    def check(self, image_shape: ImageShape) -> None:
        """Raises UsageError for images of another shape than it was fitted to."""
        if tuple(image_shape) != self.image_shape:
            fitted, given = ("×".join(map(str, shape)) for shape in (self.image_shape, image_shape))
            raise UsageError(
                f"the encoder was fitted to images of {fitted}, and these are of {given}; read them with "
                f"--image-size {self.image_shape[0]}x{self.image_shape[1]}, or fit one to them: lpe fit-reduction"
            )

    @classmethod
    def _read(cls, content: _Bytes) -> Encoder:
        if content.take(len(_MAGIC)) != _MAGIC:
            raise DataError("it starts otherwise")
        height, width, channels, side, count = _START.unpack(content.take(_START.size))
        convolutions = []
        for _ in range(count):
            kernel, stride, shift, before, after = _CONVOLUTION.unpack(content.take(_CONVOLUTION.size))
            weights = content.array("<i2", (kernel, kernel, before, after)).astype(np.int16)
            convolutions.append(
                Convolution(weights, content.array("<i8", (after,)).astype(np.int64), stride, shift)
            )
        content.end()
        return cls((height, width, channels), side or None, tuple(convolutions))

    def _encode(self, images: np.ndarray) -> np.ndarray:
        shrunk = images if self.side is None else Thumbnail(self.side).apply(images)
        values = shrunk.astype(np.float64)
        for convolution in self.convolutions[:-1]:
            values = convolution.apply(values, _MOST_BETWEEN)
        return self.convolutions[-1].apply(values, _MOST_RELEASED).astype(np.uint8)

    @functools.cached_property
    def _shrunk_shape(self) -> ImageShape:
        if self.side is None:
            return self.image_shape
        try:
            return Thumbnail(self.side).reduced_shape(self.image_shape)
        except UsageError as error:
            raise DataError(f"an encoder cannot shrink its images ({error})") from None

    @functools.cached_property
    def _values(self) -> int:
        """Values of the largest array on the way, for one image."""
        height, width, channels = self._shrunk_shape
        most = self.image_shape[0] * self.image_shape[1] * channels
        for convolution in self.convolutions:
            height, width = convolution.after(height, width)
            most = max(most, height * width * convolution.weights[..., 0].size)
        return most


class _Bytes:
    """Bytes that are read from their start on; each method raises DataError where there are not so many."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > len(self._content):
            raise DataError("it ends too early")
        part, self._content = self._content[:size], self._content[size:]
        return bytes(part)

    def array(self, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        """The next numbers."""
        return np.frombuffer(self.take(math.prod(shape) * np.dtype(dtype).itemsize), dtype).reshape(shape)

    def end(self) -> None:
        """Checks that there are no more bytes."""
        if self._content:
            raise DataError("it goes on after its end")
