"""The reduction of a dataset's images before they were encrypted, as encryption.json describes it."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from lpe.pipeline.keystore import DatasetKey
from lpe.pipeline.storage.documents import Fields
from lpe.transforms import labels, reductions
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions import Chain

Reduce = Callable[[np.ndarray], np.ndarray]
"""Images as they were, uint8 [N, H, W, C], to reduced ones."""
_MOST_SIDE = 1 << 16


@dataclasses.dataclass(frozen=True)
class RecordedReduction:
    """A reduction, with what it takes to apply it to further images.

    Attributes:
      steps: the chain, as `lpe.transforms.reductions.parse` reads it.
      image_shape: (H, W, C) of the images before it.
      hidden_noise: the secret that noise is drawn from, encrypted under the dataset's key (base64); None without noise.
    """

    steps: str
    image_shape: ImageShape
    hidden_noise: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Its part of encryption.json."""
        return {
            "steps": self.steps,
            "image_shape": list(self.image_shape),
            "noise": self.hidden_noise,
            "invertible": False,
        }

    @classmethod
    def from_json(cls, fields: Fields) -> RecordedReduction:
        """The inverse of `to_json`. Raises DataError if something is missing or damaged."""
        shape = fields.integers("image_shape", 1, _MOST_SIDE)
        steps = fields.text("steps")
        if len(shape) != 3:
            fields.refuse("'image_shape' must be height, width, channels")
        recorded = cls(steps, (shape[0], shape[1], shape[2]), fields.optional_text("noise"))
        try:
            chain = recorded.chain()
            chain.reduced_shape(recorded.image_shape)
        except UsageError as error:
            fields.refuse(str(error))
        if chain.random == (recorded.hidden_noise is None):
            fields.refuse("'noise' does not go with the reduction")
        return recorded

    def chain(self) -> Chain:
        """The reductions."""
        return reductions.parse(self.steps)

    def open(self, key: DatasetKey, salt: str) -> Reduce:
        """The reduction as a function.

        Args:
          key: the dataset's.
          salt: the dataset's.

        Raises:
          KeyStoreError: the hidden secret was changed.
        """
        chain, secret = self.chain(), self._noise_secret(key, salt)
        return lambda images: chain.apply(images, secret)

    def under(self, old: DatasetKey, old_salt: str, new: DatasetKey, new_salt: str) -> RecordedReduction:
        """The same reduction, with the same noise, of a dataset under another key or salt."""
        secret = self._noise_secret(old, old_salt)
        return (
            self if secret is None else dataclasses.replace(self, hidden_noise=_hidden(new, new_salt, secret))
        )

    def _noise_secret(self, key: DatasetKey, salt: str) -> bytes | None:
        if self.hidden_noise is None:
            return None
        try:
            hidden = base64.b64decode(self.hidden_noise, validate=True)
        except (binascii.Error, ValueError):
            hidden = b""  # which no key reveals
        return key.reveal(salt, hidden, labels.HIDDEN_NOISE_SECRET)


def new_reduction(chain: Chain, image_shape: ImageShape, key: DatasetKey, salt: str) -> RecordedReduction:
    """Describes the reduction of a dataset that is about to be made under a key.

    Args:
      chain: the reductions.
      image_shape: (H, W, C) of the images before them.
      key: the dataset's.
      salt: the dataset's.
    """
    hidden = None
    if chain.random:
        hidden = _hidden(key, salt, key.compute(labels.NOISE_SECRET, SECRET_BYTES))
    return RecordedReduction(str(chain), image_shape, hidden)


def _hidden(key: DatasetKey, salt: str, secret: bytes) -> str:
    return base64.b64encode(key.hide(salt, secret, labels.HIDDEN_NOISE_SECRET)).decode()
