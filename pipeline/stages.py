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
    """Encrypts images and, where class names are hidden, permutes labels."""

    keystore: str
    encryption: Encryption
    classes: int

    def open(self) -> BatchFunction:
        key = self.encryption.open_key(self.keystore)
        cipher = KeyedCipher(self.encryption.spec, key)
        if self.encryption.sealed_class_names is None:
            return cipher.encrypt
        order = np.array(key.label_order(self.encryption.spec.salt, self.classes), np.int64)
        return lambda batch: _relabel(cipher.encrypt(batch), order)


@dataclasses.dataclass(frozen=True)
class Decrypt:
    """The inverse of `Encrypt`."""

    keystore: str
    encryption: Encryption
    classes: int

    def open(self) -> BatchFunction:
        key = self.encryption.open_key(self.keystore)
        cipher = KeyedCipher(self.encryption.spec, key)
        if self.encryption.sealed_class_names is None:
            return cipher.decrypt
        order = key.label_order(self.encryption.spec.salt, self.classes)
        inverse = np.argsort(np.array(order, np.int64))
        return lambda batch: _relabel(cipher.decrypt(batch), inverse)


def _relabel(batch: ImageBatch, order: np.ndarray) -> ImageBatch:
    return dataclasses.replace(batch, labels=order[batch.labels])
