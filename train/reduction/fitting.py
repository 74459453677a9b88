"""Fitting an encoder to labelled images. Importing this module does not import Keras."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lpe.train import backend
from lpe.train.reduction.examples import Examples
from lpe.train.reduction.spec import FitSpec
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import image_shape_of
from lpe.transforms.reductions.encoder import Encoder

if TYPE_CHECKING:
    import keras

_BATCH = 64
_LEARNING_RATE = 3e-3
_CALIBRATION = 512
_MOST_DIFFERENCE = 1.0
"""Of released values in whole numbers from those of the network, of 255, on average."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """An encoder, and what its owner should know of it.

    Attributes:
      encoder: what was fitted.
      accuracy: of the owner's own head on the released values of held-out images.
      psnr: of what a decoder restores of those, in dB; the decoder was trained on all images that were fitted to.
      mean_psnr: of the mean image, in dB: what is restored without the released values.
      images: how many were fitted to.
      seconds: all of it.
    """

    encoder: Encoder
    accuracy: float
    psnr: float
    mean_psnr: float
    images: int
    seconds: float


def fit_encoder(
    train: Examples,
    held_out: Examples,
    spec: FitSpec,
    note: Callable[[str], None] = lambda line: None,
) -> Fitted:
    """Fits an encoder, a head for the label and, as its adversary, a decoder; and measures on held-out images.

    Args:
      train: what is fitted to.
      held_out: what is measured on.
      spec: what is fitted.
      note: called with a line after each epoch.

    Raises:
      DataError: too few images or classes, images of two shapes, or a fit that whole numbers do not follow.
      UsageError: Keras is not installed.
    """
    start = time.monotonic()
    _check(train, held_out)
    keras = backend.prepare(spec.seed, "float32")
    from lpe.train.reduction import measuring, network  # noqa: PLC0415  (they import Keras)
    from lpe.train.reduction.adversary import Adversary  # noqa: PLC0415
    from lpe.train.reduction.quantising import quantised  # noqa: PLC0415

    shape = image_shape_of(train.images)
    random = np.random.default_rng(spec.seed)
    encoder = network.encoder(spec, train.image_shape, shape)
    released_shape = tuple(encoder.output_shape[1:])
    head = network.head(released_shape, int(train.labels.max()) + 1)
    image = keras.Input(shape, dtype="uint8")
    released = network.Released(spec.noise)(encoder(image))
    release = keras.Model(image, released)
    adversary = Adversary(released_shape, train.images, _BATCH, random) if spec.adversary else None
    if adversary is not None:
        mean_error = measuring.mean_image_error(train.images, train.images)
        released = adversary.hindrance(spec.adversary, mean_error)(released, image)
    model = keras.Model(image, head(released))
    steps = -(-len(train.labels) // _BATCH)
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, spec.epochs * steps)
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    for epoch in range(spec.epochs):
        model.reset_metrics()
        for drawn in np.array_split(random.permutation(len(train.labels)), steps):
            if adversary is not None:
                adversary.learn(release)
            logs = model.train_on_batch(train.images[drawn], train.labels[drawn], return_dict=True)
        note(f"epoch {epoch + 1} of {spec.epochs}: accuracy {float(logs['accuracy']):.1%}")
    fitted = quantised(
        encoder, train.image_shape, spec.shrunk_side(train.image_shape), train.images[:_CALIBRATION]
    )
    _check_quantised(encoder, fitted, held_out.images)
    note("measuring what a decoder restores")
    values = measuring.Released.of(fitted, train.images, held_out.images, spec)
    return Fitted(
        fitted,
        measuring.accuracy(head, values.held_out, held_out.labels),
        measuring.restored_psnr(values, train.images, held_out.images),
        measuring.psnr(measuring.mean_image_error(train.images, held_out.images)),
        len(train.labels),
        time.monotonic() - start,
    )


def _check(train: Examples, held_out: Examples) -> None:
    if train.image_shape != held_out.image_shape:
        raise DataError(
            "the images held out have another shape than those to fit to; give --image-size HEIGHTxWIDTH"
        )
    if len(np.unique(train.labels)) < 2:
        raise DataError("fitting needs images of two classes at least; name a source that has them")
    if not len(held_out.labels):
        raise DataError("no images are left to measure on; give --validation-fraction")
    if held_out.labels.max() > train.labels.max():
        raise DataError("images held out have classes that no image to fit to has; fit to more images")


def _check_quantised(network: keras.Model, encoder: Encoder, images: np.ndarray) -> None:
    """Raises DataError where whole numbers give other values than the network that they were taken from."""
    from lpe.train.reduction.network import outputs  # noqa: PLC0415  (it imports Keras)

    images = images[:_CALIBRATION]
    wanted = outputs(network, images) * 255
    given = encoder.of_shrunk().encode(images)
    difference = float(np.abs(wanted - given).mean())
    if not difference <= _MOST_DIFFERENCE:
        raise DataError(
            f"the encoder in whole numbers differs from the fitted one by {difference:.1f} of 255 on average; fit it "
            "again with another --seed"
        )
