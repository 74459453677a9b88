"""Images, their ciphertexts and what front ends make of them, for the tests here."""

import keras
import numpy as np

from lpe.train import front_ends
from lpe.transforms import ciphers

SHAPE = (12, 12, 3)


def photographs(count, seed):
    """Smooth random images, as far as statistics go like photographs: uint8 [count, *SHAPE]."""
    random = np.random.default_rng(seed)
    coarse = random.normal(128, 60, (count, 3, 3, 1)) + random.normal(0, 20, (count, 3, 3, 3))
    fine = coarse.repeat(6, axis=1).repeat(6, axis=2)
    smooth = sum(fine[:, y : y + 12, x : x + 12] for y in range(6) for x in range(6)) / 36
    return np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def encrypted(name, images, key=1):
    """Ciphertexts of images, and what encryption.json says of them."""
    cipher = ciphers.create(name, secret=bytes([key]) * 32, image_shape=images.shape[1:])
    return cipher.encrypt(images), {"cipher": name, "params": dict(cipher.params)}


def output_of(front_end, images, encryption=None):
    """What a front end makes of images, before and after it was adapted to them."""
    image = keras.Input(images.shape[1:], dtype="uint8")
    model = keras.Model(image, front_ends.apply(front_end, image, encryption))
    before = np.asarray(model.predict(images, verbose=0))
    front_ends.adapt(model, images)
    return before, np.asarray(model.predict(images, verbose=0))


def likeness(values, images):
    """The correlation, mean over all places; whether all values are negative is left open."""
    a = values.reshape(len(values), -1) - values.reshape(len(values), -1).mean(axis=0)
    b = images.reshape(len(images), -1) - images.reshape(len(images), -1).mean(axis=0, dtype=np.float64)
    return abs(float(((a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0))).mean()))
