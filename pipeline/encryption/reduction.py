"""The reduction of a dataset's images before they were encrypted, as encryption.json describes it."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from lpe.pipeline.dataset.manifest import read_image_shape
from lpe.pipeline.encryption.encoders import kept_encoder, read_encoder
from lpe.pipeline.keystore import DatasetKey
from lpe.pipeline.storage.documents import Fields
from lpe.transforms import labels, reductions
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions import Chain
from lpe.transforms.reductions.learned import Learned, Unopened

Reduce = Callable[[np.ndarray], np.ndarray]
"""Images as they were, uint8 [N, H, W, C], to reduced ones."""


def given_chain(text: str) -> Chain:
    """The reductions that an owner names, as `lpe.transforms.reductions.parse` reads them; none for an empty text.

    Raises:
      UsageError: an unknown reduction, or an argument that it does not take.
      DataError: there is no encoder in the folder of a learned one, or it is damaged.
      KeyStoreError: others than its owner may access the encoder.
    """
    return reductions.parse(text, lambda directory: Learned(read_encoder(directory)))


@dataclasses.dataclass(frozen=True)
class RecordedReduction:
    """A reduction, with what it takes to apply it to further images.

    Attributes:
      steps: the chain, as `lpe.transforms.reductions.parse` reads it.
      image_shape: (H, W, C) of the images before it; None where they differ in shape.
      hidden_noise: the secret that noise is drawn from, encrypted under the dataset's key (base64); None without noise.
    """

    steps: str
    image_shape: ImageShape | None
    hidden_noise: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Its part of encryption.json."""
        return {
            "steps": self.steps,
            "image_shape": None if self.image_shape is None else list(self.image_shape),
            "noise": self.hidden_noise,
            "invertible": False,
        }

    @classmethod
    def from_json(cls, fields: Fields) -> RecordedReduction:
        """The inverse of `to_json`. Raises DataError if something is missing or damaged."""
        steps = fields.text("steps")
        shape = None if fields.is_null("image_shape") else read_image_shape(fields)
        recorded = cls(steps, shape, fields.optional_text("noise"))
        try:
            chain = recorded.chain()
            if shape is None or not any(isinstance(step, Unopened) for step in chain.steps):
                reduced_shape(chain, shape)
        except UsageError as error:
            fields.refuse(str(error))
        if not chain:
            fields.refuse("'steps' names no reduction")
        if chain.random == (recorded.hidden_noise is None):
            fields.refuse("'noise' does not go with the reduction")
        return recorded

    def chain(self) -> Chain:
        """The reductions, as far as they are known without the dataset's key."""
        return reductions.parse(self.steps, Unopened.read)

    def open(self, key: DatasetKey, salt: str, keystore: str) -> Reduce:
        """The reduction as a function.

        Args:
          key: the dataset's.
          salt: the dataset's.
          keystore: the URI of the key store that the key is of.

        Raises:
          KeyStoreError: the hidden secret or an encoder was changed, or an encoder is missing.
        """
        return reducing(open_chain(self, key, salt, keystore), self.noise_secret(key, salt))

    def under(self, old: DatasetKey, old_salt: str, new: DatasetKey, new_salt: str) -> RecordedReduction:
        """The same reduction, with the same noise, of a dataset under another key or salt."""
        secret = self.noise_secret(old, old_salt)
        return (
            self if secret is None else dataclasses.replace(self, hidden_noise=_hidden(new, new_salt, secret))
        )

    def noise_secret(self, key: DatasetKey, salt: str) -> bytes | None:
        """The secret that noise is drawn from, 32 bytes; None without noise. Raises KeyStoreError if it was changed."""
        if self.hidden_noise is None:
            return None
        try:
            hidden = base64.b64decode(self.hidden_noise, validate=True)
        except (binascii.Error, ValueError):
            hidden = b""  # which no key reveals
        return key.reveal(salt, hidden, labels.HIDDEN_NOISE_SECRET)


def open_chain(recorded: RecordedReduction, key: DatasetKey, salt: str, keystore: str) -> Chain:
    """The reductions of a dataset, ready to be applied.

    Args:
      recorded: what the dataset says of them.
      key: the dataset's.
      salt: the dataset's.
      keystore: the URI of the key store that the key is of, in which encoders lie.

    Raises:
      KeyStoreError: an encoder is missing, or was changed.
    """
    return reductions.parse(
        recorded.steps, lambda digest: Learned(kept_encoder(Unopened.read(digest).digest, key, keystore))
    )


def reducing(chain: Chain, noise_secret: bytes | None) -> Reduce:
    """The reductions as a function, which does not print the secret that it holds."""
    return lambda images: chain.apply(images, noise_secret)


def reduced_shape(chain: Chain, image_shape: ImageShape | None) -> ImageShape | None:
    """The shape of reduced images; None for images that differ in shape, and still do.

    Raises:
      UsageError: images of this shape, or of many shapes, cannot be reduced so.
    """
    if image_shape is not None:
        return chain.reduced_shape(image_shape)
    for step in chain.steps:
        if step.reshapes:
            raise UsageError(
                f"{step}: needs images of one shape; give --image-size HEIGHTxWIDTH, such as 224x224"
            )
    return None


def new_noise_secret(key: DatasetKey) -> bytes:
    """The secret that the noise of a home's first version is drawn from; later versions take it over."""
    return key.compute(labels.NOISE_SECRET, SECRET_BYTES)


def new_reduction(
    chain: Chain, image_shape: ImageShape | None, noise_secret: bytes | None, key: DatasetKey, salt: str
) -> RecordedReduction:
    """Describes the reduction of a dataset that is about to be made under a key.

    Args:
      chain: the reductions.
      image_shape: (H, W, C) of the images before them; None where they differ in shape.
      noise_secret: what noise is drawn from; None without noise.
      key: the dataset's.
      salt: the dataset's.
    """
    hidden = None if noise_secret is None else _hidden(key, salt, noise_secret)
    return RecordedReduction(str(chain), image_shape, hidden)


def _hidden(key: DatasetKey, salt: str, secret: bytes) -> str:
    return base64.b64encode(key.hide(salt, secret, labels.HIDDEN_NOISE_SECRET)).decode()
