"""A cipher bound to a dataset's key: which key material encrypts which image.

The secret of a dataset (scope `dataset`) or of one image (scope `image`) is 32 bytes of a PRF under the dataset's
key, over the context `labels.cipher_secret`. A scheme with a pool of keys has a secret for each of them
(`labels.pool_secret`), and another PRF value, of an image's id, says which one the image has (`labels.pool_index`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, get_args

import numpy as np

from lpe.transforms import ciphers, labels
from lpe.transforms.batch import ImageBatch
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.not_picklable import NotPicklable

# With a key per image, key material takes a multiple of the images' own bytes.
_KEYED_BYTES = 1 << 22
_INDEX_BYTES = 8

Scope = Literal["dataset", "image"]
"""One key for the whole dataset, or one for each image, derived from its id."""


class Prf(Protocol):
    """A keyed pseudo-random function; the only thing that touches the dataset's key.

    Deterministic: the same context and length always give the same bytes. Holds a secret: neither pickled nor
    printed. Used by one thread at a time.
    """

    def compute(self, context: bytes, length: int) -> bytes:
        """`length` bytes that depend on the key and on `context`, and say nothing about other contexts' bytes."""


class KeySource(Protocol):
    """A small picklable value that names a key, and fetches it where the work is done.

    It travels in the pipeline's graph and holds no secret. `open` may reach a key store, and may be called by
    several workers at once.
    """

    def open(self) -> Prf:
        """Fetches the key; its errors are the key store's."""


def check_scope(name: str, params: Mapping[str, str], scope: Scope) -> None:
    """Checks that a scheme with these parameters can be used under keys of a scope.

    Raises:
      CipherError: an unknown name.
      UsageError: an unknown scope, or a key for each image where there is a pool of keys for all.
    """
    if scope not in get_args(Scope):
        raise UsageError(f"unknown key scope {scope!r}; choose dataset or image")
    if scope == "image" and (pool := ciphers.scheme(name).pool(params)) > 1:
        raise UsageError(
            f"{name}: a pool of {pool} keys is the dataset's; choose it or scope image, not both"
        )


@dataclasses.dataclass(frozen=True)
class CipherSpec:
    """Everything about a dataset's encryption that is public and determines its bytes.

    Attributes:
      name: one of `ciphers.names()`.
      salt: separates datasets under one key; any text without `|`.
      scope: one key for the `dataset`, or one per `image`, from its id.
      params: its public parameters; those left out take their defaults.

    Raises:
      CipherError: an unknown name or parameter.
      UsageError: an unknown scope, a pool of keys with scope `image`, or a `|` in the salt.
    """

    name: str
    salt: str
    scope: Scope = "dataset"
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", ciphers.resolve_params(self.name, self.params))
        check_scope(self.name, self.params, self.scope)
        if "|" in self.salt or not self.salt:
            raise UsageError(f"a salt is non-empty text without '|', not {self.salt!r}")

    def __getstate__(self) -> dict[str, Any]:
        """The fields, and the module of the scheme, which another process must import to know it."""
        return {**self.__dict__, "module": ciphers.scheme(self.name).__module__}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restores the fields. Imports the scheme's module; where that fails, using the spec says what is missing."""
        fields = dict(state)
        with contextlib.suppress(ImportError):
            importlib.import_module(fields.pop("module"))
        self.__dict__.update(fields)

    def context(self, image_shape: ImageShape, image_id: str | None = None) -> bytes:
        """The PRF context of images of this shape (and, with scope `image`, of this id).

        Raises:
          ValueError: the scope is `image` and no id is given.
        """
        if self.scope == "dataset":
            image_id = None
        elif image_id is None:
            raise ValueError("scope image needs an image id")
        return labels.cipher_secret(self.name, self.params, self.salt, image_shape, image_id)


class KeyedCipher(NotPicklable):
    """Encrypts and decrypts batches of images of any shapes under one key.

    With scope `dataset` the key material of a shape is derived once and kept, and that of each key of a pool; with
    scope `image` it is derived from each image's id. Batches are not changed. For use by one thread.

    Args:
      spec: cipher, parameters, salt, key scope.
      prf: the dataset's key.
    """

    def __init__(self, spec: CipherSpec, prf: Prf) -> None:
        self._spec = spec
        self._prf = prf
        self._pool = ciphers.scheme(spec.name).pool(spec.params)
        self._made: dict[tuple[ImageShape, int], ciphers.Cipher] = {}

    def encrypt(self, batch: ImageBatch) -> ImageBatch:
        """The batch with its images encrypted.

        Raises:
          CipherError: the scheme does not admit images of this shape.
        """
        return self._apply(batch, lambda cipher, images: cipher.encrypt(images))

    def decrypt(self, batch: ImageBatch) -> ImageBatch:
        """The batch with its images decrypted; the inverse of `encrypt`.

        Raises:
          CipherError: the scheme does not admit images of this shape.
        """
        return self._apply(batch, lambda cipher, images: cipher.decrypt(images))

    def _apply(
        self, batch: ImageBatch, function: Callable[[ciphers.Cipher, np.ndarray], np.ndarray]
    ) -> ImageBatch:
        shape = image_shape_of(batch.images)
        if self._spec.scope == "dataset" and self._pool == 1:
            return batch.replace_images(function(self._with_key(shape, 0), batch.images))
        out = np.empty_like(batch.images)
        if self._spec.scope == "dataset":
            which = np.array([self._key_of(image_id) for image_id in batch.ids], np.int64)
            for index in np.unique(which):
                part = which == index
                out[part] = function(self._with_key(shape, int(index)), batch.images[part])
            return batch.replace_images(out)
        count = max(1, _KEYED_BYTES // int(np.prod(shape)))
        for start in range(0, len(batch), count):
            few = slice(start, start + count)
            out[few] = function(self._for_ids(shape, batch.ids[few]), batch.images[few])
        return batch.replace_images(out)

    def _key_of(self, image_id: str) -> int:
        """Which key of the pool an image has. The sizes of pools divide 2⁶⁴: each key is as likely as any other."""
        value = self._prf.compute(labels.pool_index(self._spec.salt, image_id), _INDEX_BYTES)
        return int.from_bytes(value, "big") % self._pool

    def _with_key(self, shape: ImageShape, index: int) -> ciphers.Cipher:
        """The cipher for images of one shape under the dataset's key, or under one of its pool of keys."""
        if (shape, index) not in self._made:
            spec = self._spec
            context = spec.context(shape)
            if self._pool > 1:
                context = labels.pool_secret(spec.name, spec.params, spec.salt, shape, index)
            self._made[shape, index] = self._create(shape, [context])
        return self._made[shape, index]

    def _for_ids(self, shape: ImageShape, ids: list[str]) -> ciphers.Cipher:
        """A cipher with a key for each of these images."""
        return self._create(shape, [self._spec.context(shape, image_id) for image_id in ids])

    def _create(self, shape: ImageShape, contexts: list[bytes]) -> ciphers.Cipher:
        settings: dict[str, Any] = dict(self._spec.params)
        settings["secrets"] = [self._prf.compute(context, SECRET_BYTES) for context in contexts]
        return ciphers.create(self._spec.name, image_shape=shape, **settings)
