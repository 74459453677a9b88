"""What an owner should know of an encoder: the accuracy of their own head, and what a decoder restores.

Importing this module imports Keras.
"""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np

from lpe.train.reduction import network
from lpe.train.reduction.spec import FitSpec
from lpe.transforms.image_shape import image_shape_of
from lpe.transforms.reductions.encoder import Encoder

_BATCH = 32
_CHUNK = 1024
_LEARNING_RATE = 2e-3
_STEPS = 1500
_MOST_PASSES = 40


@dataclasses.dataclass(frozen=True)
class Released:
    """What is released of images, 0..1, float32 [N, H', W', K].

    Attributes:
      train: of those that were fitted to.
      held_out: of the others.
    """

    train: np.ndarray
    held_out: np.ndarray

    @classmethod
    def of(cls, encoder: Encoder, train: np.ndarray, held_out: np.ndarray, spec: FitSpec) -> Released:
        """Encodes shrunk images, and adds the noise that the encoder was fitted with."""
        random = np.random.default_rng(spec.seed)

        def released(images: np.ndarray) -> np.ndarray:
            values = encoder.of_shrunk().encode(images).astype(np.float32)
            if spec.noise:
                values = np.clip(np.round(values + random.normal(0, spec.noise, values.shape)), 0, 255)
            return (values / 255).astype(np.float32)

        return cls(released(train), released(held_out))


def accuracy(head: keras.Model, released: np.ndarray, labels: np.ndarray) -> float:
    """The share of labels that a head gets right."""
    return float((network.outputs(head, released).argmax(axis=1) == labels).mean())


def restored_psnr(released: Released, train: np.ndarray, held_out: np.ndarray) -> float:
    """The PSNR, in dB, of held-out images that a decoder restores, which is trained on all the others."""
    decoder = network.decoder(image_shape_of(released.train), image_shape_of(train))
    steps_a_pass = -(-len(train) // _BATCH)
    passes = min(_MOST_PASSES, -(-_STEPS // steps_a_pass))
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, passes * steps_a_pass)
    decoder.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    decoder.fit(released.train, train.astype(np.float32) / 255, batch_size=_BATCH, epochs=passes, verbose=0)
    total = 0.0
    for start in range(0, len(held_out), _CHUNK):
        part = slice(start, start + _CHUNK)
        restored = np.clip(network.outputs(decoder, released.held_out[part]), 0, 1)
        total += float(((restored - held_out[part] / 255) ** 2).sum())
    return psnr(total / held_out.size)


def mean_image_error(train: np.ndarray, images: np.ndarray) -> float:
    """The mean squared error, of pixels of 0..1, of taking the mean of some images for others."""
    mean = train.mean(axis=0) / 255
    chunks = [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]
    return sum(float(((chunk / 255 - mean) ** 2).sum()) for chunk in chunks) / images.size


def psnr(error: float) -> float:
    """A mean squared error of pixels of 0..1 in dB, at most 100."""
    return -10 * math.log10(max(error, 1e-10))
