"""A small U-Net that restores images from reduced ones, as an attacker trains it who knows the reduction.

It is shown what was released, enlarged to the image's shape, and the linear estimate, and corrects that estimate. It is
trained on squares cut from the images, so that large ones take no more memory, and applied to them whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lpe.train import backend
from lpe.transforms.attacks import linear
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.enlarged import enlarged
from lpe.transforms.image_shape import image_shape_of

_WIDTH = 24
"""Channels at the full size; twice as many at half of it, and at a quarter."""
_MULTIPLE = 4
"""What height and width are made a multiple of."""
_SIDE = 64
"""Of the squares that it is trained on, at most."""
_SHOWN, _MOST_EPOCHS, _BATCH = 48_000, 60, 32
"""Squares that it is trained on in all; epochs, at most; squares of a step."""
_RATE = 2e-3
_SCALE = 64.0
"""Grey levels that the network sees as 1."""
_OWN_SECRET = bytes(32)
_VALUES = 1 << 22
"""Bytes of images that are restored at once."""


class ReductionNetwork(Attack):
    """A network trained on public images that the attacker reduced."""

    name = "U-Net"
    adversary = "learned"
    source = "U-Net (Ronneberger et al. 2015), residual"
    learns = False

    def applies_to(self, target: Target) -> bool:
        """Whether images were reduced, and nothing more."""
        return bool(target.reduction) and target.cipher == "plain"

    def learn(self, evidence: Evidence) -> Recovery:
        """Trains the network. Raises UsageError without Keras."""
        if evidence.public is None or not len(evidence.public):
            raise ValueError("the network is trained on public images, and this evidence has none")
        public = linear.with_mirrored(evidence.public)
        return Recovery(_trained(public, evidence.target.reduction.apply(public, _OWN_SECRET)))


def _trained(plain: np.ndarray, reduced: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The network as a function: reduced images, uint8 [N, h, w, k], to images, uint8 [N, H, W, C]."""
    keras = backend.load()
    keras.utils.set_random_seed(0)
    estimate = linear.fit(plain, reduced)
    height, width, channels = image_shape_of(plain)
    epochs = min(_MOST_EPOCHS, -(-_SHOWN // len(plain)))
    model = _network(keras, channels + reduced.shape[3], channels)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, epochs * -(-len(plain) // _BATCH))
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    known = estimate(reduced)
    places = np.random.default_rng(0)
    for _ in range(epochs):
        squares = _squares((plain, known, _as_large(reduced, plain)), places)
        model.fit(_seen(squares[1], squares[2]), _difference(*squares[:2]), batch_size=_BATCH, verbose=0)

    def corrected(images: np.ndarray) -> np.ndarray:
        first = estimate(images)
        seen = _seen(_padded(first), _padded(_as_large(images, first)))
        missing = np.asarray(model.predict(seen, batch_size=_BATCH, verbose=0))[:, :height, :width]
        return np.clip(np.rint(first + _SCALE * missing), 0, 255).astype(np.uint8)

    def restore(images: np.ndarray) -> np.ndarray:
        few = max(1, _VALUES // plain[0].size)
        return np.concatenate([corrected(images[at : at + few]) for at in range(0, len(images), few)])

    return restore


def _network(keras: Any, seen: int, channels: int) -> Any:
    """A U-Net of two levels from `seen` channels to what is missing in `channels`; at first that is nothing."""
    layers = keras.layers

    def convolved(x: Any, width: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        return x

    image = keras.Input((None, None, seen))
    whole = convolved(image, _WIDTH)
    half = convolved(layers.MaxPooling2D()(whole), 2 * _WIDTH)
    quarter = convolved(layers.MaxPooling2D()(half), 2 * _WIDTH)
    half = convolved(layers.Concatenate()([half, layers.UpSampling2D()(quarter)]), 2 * _WIDTH)
    whole = convolved(layers.Concatenate()([whole, layers.UpSampling2D()(half)]), _WIDTH)
    return keras.Model(image, layers.Conv2D(channels, 1, kernel_initializer="zeros")(whole))


def _as_large(reduced: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Reduced images, all of their channels, as high and wide as the images."""
    return enlarged(reduced, (images.shape[1], images.shape[2], reduced.shape[3]))


def _seen(estimate: np.ndarray, reduced: np.ndarray) -> np.ndarray:
    both = np.concatenate([estimate, reduced], axis=3).astype(np.float32)
    return np.asarray((both - np.float32(127.5)) / np.float32(_SCALE))


def _difference(plain: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    return np.asarray((plain.astype(np.float32) - estimate) / np.float32(_SCALE))


def _padded(images: np.ndarray) -> np.ndarray:
    """Images with their edges repeated until height and width are multiples."""
    below, right = (-length % _MULTIPLE for length in images.shape[1:3])
    return np.pad(images, ((0, 0), (0, below), (0, right), (0, 0)), "edge")


def _squares(batches: tuple[np.ndarray, ...], places: np.random.Generator) -> list[np.ndarray]:
    """The same squares of all batches, one of each image; images themselves that are no larger than that."""
    whole = [_padded(images) for images in batches]
    count, *size = whole[0].shape[:3]
    high, wide = (min(length, _SIDE) for length in size)
    top = places.integers(size[0] - high + 1, size=count)[:, None, None]
    left = places.integers(size[1] - wide + 1, size=count)[:, None, None]
    which = np.arange(count)[:, None, None]
    return [images[which, top + np.arange(high)[:, None], left + np.arange(wide)] for images in whole]
