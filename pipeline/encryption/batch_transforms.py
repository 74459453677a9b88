"""The batch transforms of encryption: identity, encrypt, decrypt. Keys are fetched where the work is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.seal.data_key import DataKey
from lpe.transforms.batch import ImageBatch
from lpe.transforms.keyed import KeyedCipher

BatchFunction = Callable[[ImageBatch], ImageBatch]
"""A batch to a batch of the same examples in the same order; the argument is left as it is."""


class BatchTransform(Protocol):
    """A picklable description of a function on batches.

    It travels in the pipeline's graph and so names keys without holding them. Implementations are values: `open` may
    be called any number of times and from any thread, and leaves them as they are.
    """

    def open(self) -> BatchFunction:
        """The function itself, with its keys fetched; called once per worker.

        The function is pure and used by one thread. It raises DataError for an image that cannot be transformed, such
        as a sealed one that was changed.

        Raises:
          KeyStoreError: a key cannot be had, or is another one.
        """


@dataclasses.dataclass(frozen=True)
class Identity:
    """Leaves batches as they are."""

    def open(self) -> BatchFunction:
        """The identity."""
        return lambda batch: batch


@dataclasses.dataclass(frozen=True)
class Encrypt:
    """Encrypts images, seals them if asked for and, where class names are hidden, permutes labels.

    Attributes:
      keystore: where the key is.
      encryption: which key, which cipher.
      classes: how many classes there are.
    """

    keystore: str
    encryption: Encryption
    classes: int

    def open(self) -> BatchFunction:
        """Plain images -> what is written."""
        cipher, order, data_key = _open(self.keystore, self.encryption, self.classes)
        if data_key is None:
            return lambda batch: _relabel(cipher.encrypt(batch), order)
        return lambda batch: data_key.seal(_relabel(cipher.encrypt(batch), order))


@dataclasses.dataclass(frozen=True)
class Decrypt:
    """The inverse of `Encrypt`, with the same attributes."""

    keystore: str
    encryption: Encryption
    classes: int

    def open(self) -> BatchFunction:
        """What was written -> plain images."""
        cipher, order, data_key = _open(self.keystore, self.encryption, self.classes)
        inverse = np.argsort(order)
        if data_key is None or self.encryption.seal is None:
            return lambda batch: _relabel(cipher.decrypt(batch), inverse)
        shape = self.encryption.seal.image_shape
        return lambda batch: _relabel(cipher.decrypt(data_key.unseal(batch, shape)), inverse)


def _open(
    keystore: str, encryption: Encryption, classes: int
) -> tuple[KeyedCipher, np.ndarray, DataKey | None]:
    """The cipher under the dataset's key; the order of classes: i becomes order[i]; the key of the seal."""
    key = encryption.open_key(keystore)
    order = np.array(encryption.label_order(key, classes), np.int64)
    data_key = key.data_key(encryption.spec.salt) if encryption.seal is not None else None
    return KeyedCipher(encryption.spec, key), order, data_key


def _relabel(batch: ImageBatch, order: np.ndarray) -> ImageBatch:
    return dataclasses.replace(batch, labels=order[batch.labels])
