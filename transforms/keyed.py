"""A cipher bound to a dataset's key: which key material encrypts which image.

The secret of a dataset (scope `dataset`) or of one image (scope `image`) is 32 bytes of a PRF over

    lpe/v1|CIPHER|PARAMETERS|SALT|HxWxC          and, for scope image,     |IMAGE-ID

with the parameters sorted, `name=value` joined by commas.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, get_args

import numpy as np

from lpe.transforms import ciphers
from lpe.transforms.batch import ImageBatch
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.errors import UsageError

# With a key per image, key material takes a multiple of the images' own bytes.
_KEYED_BYTES = 1 << 22

Scope = Literal["dataset", "image"]


class Prf(Protocol):
    """A keyed pseudo-random function; the only thing that touches the dataset's key."""

    def compute(self, context: bytes, length: int) -> bytes:
        """`length` bytes that depend on the key and on `context`."""


class KeySource(Protocol):
    """A small picklable value that names a key, and fetches it where the work is done."""

    def open(self) -> Prf:
        """Fetches the key."""


@dataclasses.dataclass(frozen=True)
class CipherSpec:
    """Everything about a dataset's encryption that is public and determines its bytes.

    Attributes:
      name: one of `ciphers.names()`.
      params: its public parameters; those left out take their defaults.
      scope: one key for the `dataset`, or one per `image`, from its id.
      salt: separates datasets under one key; any text without `|`.

    Raises:
      CipherError: an unknown name or parameter.
      UsageError: an unknown scope, or a `|` in the salt.
    """

    name: str
    salt: str
    scope: Scope = "dataset"
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", ciphers.resolve_params(self.name, self.params))
        if self.scope not in get_args(Scope):
            raise UsageError(f"unknown key scope {self.scope!r}; choose dataset or image")
        if "|" in self.salt or not self.salt:
            raise UsageError(f"a salt is non-empty text without '|', not {self.salt!r}")

    def context(self, image_shape: ciphers.Shape, image_id: str | None = None) -> bytes:
        """The PRF context of images of this shape (and, with scope `image`, of this id)."""
        params = ",".join(f"{key}={value}" for key, value in sorted(self.params.items()))
        parts = ["lpe/v1", self.name, params, self.salt, "x".join(map(str, image_shape))]
        if self.scope == "image":
            if image_id is None:
                raise ValueError("scope image needs an image id")
            parts.append(image_id)
        return "|".join(parts).encode()


class KeyedCipher:
    """Encrypts and decrypts batches of images of any shapes under one key.

    With scope `dataset` the key material of a shape is derived once and kept; with scope `image`
    it is derived from each image's id. Holds key material: refuses to be pickled.
    """

    def __init__(self, spec: CipherSpec, prf: Prf) -> None:
        self._spec = spec
        self._prf = prf
        self._by_shape: dict[ciphers.Shape, ciphers.Cipher] = {}

    def encrypt(self, batch: ImageBatch) -> ImageBatch:
        """The batch with its images encrypted. Raises CipherError for a shape the scheme does not admit."""
        return self._apply(batch, lambda cipher, images: cipher.encrypt(images))

    def decrypt(self, batch: ImageBatch) -> ImageBatch:
        """The batch with its images decrypted; the inverse of `encrypt`."""
        return self._apply(batch, lambda cipher, images: cipher.decrypt(images))

    def _apply(
        self, batch: ImageBatch, work: Callable[[ciphers.Cipher, np.ndarray], np.ndarray]
    ) -> ImageBatch:
        height, width, channels = batch.images.shape[1:]
        shape = (height, width, channels)
        if self._spec.scope == "dataset":
            return batch.replace_images(work(self._of_shape(shape), batch.images))
        out = np.empty_like(batch.images)
        step = max(1, _KEYED_BYTES // int(np.prod(shape)))
        for start in range(0, len(batch), step):
            part = slice(start, start + step)
            cipher = self._of_images(shape, batch.ids[part])
            out[part] = work(cipher, batch.images[part])
        return batch.replace_images(out)

    def _of_shape(self, shape: ciphers.Shape) -> ciphers.Cipher:
        if shape not in self._by_shape:
            self._by_shape[shape] = self._create(shape, secret=self._secret(shape))
        return self._by_shape[shape]

    def _of_images(self, shape: ciphers.Shape, ids: list[str]) -> ciphers.Cipher:
        return self._create(shape, secrets=[self._secret(shape, name) for name in ids])

    def _secret(self, shape: ciphers.Shape, image_id: str | None = None) -> bytes:
        return self._prf.compute(self._spec.context(shape, image_id), SECRET_BYTES)

    def _create(self, shape: ciphers.Shape, **secrets: Any) -> ciphers.Cipher:
        settings: dict[str, Any] = {**secrets, **self._spec.params}
        return ciphers.create(self._spec.name, image_shape=shape, **settings)

    def __reduce__(self) -> str:
        raise TypeError("a keyed cipher holds key material and must not be pickled; make it in setup()")
