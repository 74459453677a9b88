"""A cipher bound to a dataset's key: which key material encrypts which image.

The secret of a dataset (scope `dataset`) or of one image (scope `image`) is 32 bytes of a PRF over

    lpe/v1|CIPHER|PARAMETERS|SALT|HxWxC          and, for scope image,     |IMAGE-ID

with the parameters sorted, `name=value` joined by commas.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

from transforms import ciphers
from transforms.batch import ImageBatch
from transforms.ciphers.derive import SECRET_BYTES
from transforms.errors import UsageError

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
        return batch.replace_images(self._cipher(batch).encrypt(batch.images))

    def decrypt(self, batch: ImageBatch) -> ImageBatch:
        """The batch with its images decrypted; the inverse of `encrypt`."""
        return batch.replace_images(self._cipher(batch).decrypt(batch.images))

    def _cipher(self, batch: ImageBatch) -> ciphers.Cipher:
        height, width, channels = batch.images.shape[1:]
        shape = (height, width, channels)
        spec = self._spec
        params: dict[str, Any] = dict(spec.params)
        if spec.scope == "image":
            secrets = [self._prf.compute(spec.context(shape, name), SECRET_BYTES) for name in batch.ids]
            return ciphers.create(spec.name, secrets=secrets, image_shape=shape, **params)
        if shape not in self._by_shape:
            secret = self._prf.compute(spec.context(shape), SECRET_BYTES)
            self._by_shape[shape] = ciphers.create(spec.name, secret=secret, image_shape=shape, **params)
        return self._by_shape[shape]

    def __reduce__(self) -> str:
        raise TypeError("a keyed cipher holds key material and must not be pickled; make it in setup()")
