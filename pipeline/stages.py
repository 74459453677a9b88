"""What happens to a batch between reading and writing. Keys are fetched where the work is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from pipeline.encryption import Encryption
from transforms.batch import ImageBatch
from transforms.keyed import KeyedCipher

BatchFunction = Callable[[ImageBatch], ImageBatch]


class Stage(Protocol):
    """A picklable description of a function on batches."""

    def open(self) -> BatchFunction:
        """The function itself; called once per worker."""


@dataclasses.dataclass(frozen=True)
class Copy:
    """The identity."""

    def open(self) -> BatchFunction:
        return lambda batch: batch


@dataclasses.dataclass(frozen=True)
class Encrypt:
    """Encrypts images and, where class names are hidden, permutes labels.

    Attributes:
      keystore: where the key is.
      encryption: which key, which cipher.
      classes: how many classes there are.
    """

    keystore: str
    encryption: Encryption
    classes: int

    def open(self) -> BatchFunction:
        cipher, order = _open(self.keystore, self.encryption, self.classes)
        return lambda batch: _relabel(cipher.encrypt(batch), order)


@dataclasses.dataclass(frozen=True)
class Decrypt:
    """The inverse of `Encrypt`, with the same attributes."""

    keystore: str
    encryption: Encryption
    classes: int

    def open(self) -> BatchFunction:
        cipher, order = _open(self.keystore, self.encryption, self.classes)
        inverse = np.argsort(order)
        return lambda batch: _relabel(cipher.decrypt(batch), inverse)


def _open(keystore: str, encryption: Encryption, classes: int) -> tuple[KeyedCipher, np.ndarray]:
    """The cipher under the dataset's key, and the order of its classes: class i becomes order[i]."""
    key = encryption.open_key(keystore)
    return KeyedCipher(encryption.spec, key), np.array(encryption.label_order(key, classes), np.int64)


def _relabel(batch: ImageBatch, order: np.ndarray) -> ImageBatch:
    return dataclasses.replace(batch, labels=order[batch.labels])
