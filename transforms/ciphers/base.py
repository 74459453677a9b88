"""The interface of all schemes: what each offers, and what it must define."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any, ClassVar

import numpy as np

from lpe.transforms.ciphers.wrong_images import explain_images
from lpe.transforms.errors import CipherError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable

_CHUNK_BYTES = 1 << 18  # a few passes over a chunk should stay in the second-level cache


class Cipher(NotPicklable, abc.ABC):
    """A scheme for one image shape, with one key for all images or one key per image.

    Encryption is exact: `decrypt(encrypt(images)) == images`. An image's ciphertext depends on the image, its key
    and nothing else. `encrypt` and `decrypt` change neither their argument nor the cipher, so that threads may share
    one. The object holds key material: it refuses to be pickled and prints none of it.

    A scheme defines the four class variables, `key_bits`, `derive_keys`, `_encrypt` and `_decrypt`, and where it has
    parameters or demands on the shape, `default_params`, `later_params`, `pool` and `check_shape`.

    Attributes:
      name: the scheme's name, e.g. `lpe-100`.
      image_shape: (H, W, C).
      params: the scheme's public parameters, all of them, as strings.
      keys: 1, or the number of images that it is for.
    """

    source: ClassVar[str]
    """Where the scheme comes from, in one line."""
    keyed: ClassVar[str]
    """What its key determines."""
    demands: ClassVar[str] = "any H×W×C"
    """What it asks of the image shape."""
    broken_by: ClassVar[str]
    """What is known to break it, with one key for the dataset."""
    later_params: ClassVar[frozenset[str]] = frozenset()
    """Parameters that the scheme did not have at first. At their defaults they are left out of all that is recorded
    and derived, so that datasets from before keep their keys."""
    images_at_once: ClassVar[int] = 1
    """The fewest images that `_encrypt` and `_decrypt` are given, where there are as many."""

    def __init__(self, name: str, image_shape: ImageShape, params: Mapping[str, str], keys: Sized) -> None:
        """`keys` holds the key material of one key, or of one key per image.

        Raises:
          CipherError: key material that does not fit the image shape or the parameters.
        """
        self.name = name
        self.image_shape = image_shape
        self.params = dict(params)
        self.keys = len(keys)

    def encrypt(self, images: np.ndarray) -> np.ndarray:
        """The ciphertext of images.

        Args:
          images: uint8 [N, H, W, C], contiguous or not; N may be 0, and is the number of keys if there are several.

        Returns:
          A new array of the same shape and type.

        Raises:
          CipherError: images of another shape, type or number.
        """
        return self._in_chunks(images, self._encrypt)

    def decrypt(self, images: np.ndarray) -> np.ndarray:
        """The plaintext of images; the inverse of `encrypt`, with the same arguments and errors."""
        return self._in_chunks(images, self._decrypt)

    @classmethod
    def default_params(cls) -> Mapping[str, tuple[str, ...]]:
        """Each public parameter's possible values, the default first."""
        return {}

    @classmethod
    def pool(cls, params: Mapping[str, str]) -> int:
        """How many keys of a dataset its images are shared out among, by their ids; 1 for one key for all."""
        return 1

    @classmethod
    def check_shape(cls, image_shape: ImageShape, params: Mapping[str, str]) -> None:
        """Checks that the scheme admits images of a shape.

        Raises:
          CipherError: it does not; the text says which shapes it admits.
        """

    @classmethod
    @abc.abstractmethod
    def key_bits(cls, name: str, image_shape: ImageShape, params: Mapping[str, str]) -> float:
        """The base-2 logarithm of the number of keys. A large number is no measure of security."""

    @classmethod
    @abc.abstractmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: ImageShape, params: Mapping[str, str]
    ) -> list[Any]:
        """The key material (the scheme's `Key`) of each 32-byte secret, as `derive` describes.

        Raises:
          CipherError: a secret of another length.
        """

    @abc.abstractmethod
    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """Encrypts a chunk (uint8 [M, H·W·C], not to be changed) into `out` with the keys of `keys`."""

    @abc.abstractmethod
    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """The inverse of `_encrypt`."""

    def _in_chunks(self, images: Any, kernel: Callable[[np.ndarray, np.ndarray, slice], None]) -> np.ndarray:
        if (
            not isinstance(images, np.ndarray)
            or images.dtype != np.uint8
            or images.shape[1:] != self.image_shape
        ):
            raise CipherError(explain_images(images, self.name, self.image_shape))
        if self.keys not in (1, len(images)):
            raise CipherError(f"this cipher has keys for {self.keys} images, got {len(images)}")
        out = np.empty(images.shape, np.uint8)
        size = int(np.prod(self.image_shape))
        count = max(self.images_at_once, _CHUNK_BYTES // max(1, size))
        flat_out = out.reshape(len(images), size)
        for start in range(0, len(images), count):
            part = slice(start, min(start + count, len(images)))
            chunk = images[part].reshape(part.stop - start, size)
            kernel(chunk, flat_out[part], slice(0, 1) if self.keys == 1 else part)
        return out

    def __repr__(self) -> str:
        """The scheme, its image shape and public parameters."""
        settings = "".join(f", {key}={value}" for key, value in self.params.items())
        return f"<{self.name} for {self.image_shape}{settings}, {self.keys} key(s) not shown>"
