"""Images that a cipher does not take: the message says what it takes, what it got, and how to get there."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms import ciphers

COLOUR = ciphers.create("lpe-100", secret=bytes(32), image_shape=(8, 6, 3))
GREY = ciphers.create("lpe-100", secret=bytes(32), image_shape=(8, 6, 1))
TO_UINT8 = "(images * 255).round().astype(np.uint8) for values in 0..1"


@pytest.mark.parametrize("cipher", [COLOUR.encrypt, COLOUR.decrypt])
@pytest.mark.parametrize(
    ("images", "got", "remedy"),
    [
        (np.zeros((8, 6, 3), np.uint8), "uint8 [8, 6, 3]", "images[None] for a single image"),
        ([np.zeros((8, 6, 3), np.uint8)] * 2, "a list of 2", "np.stack(images)"),
        (np.zeros((2, 8, 6, 3), np.float32), "float32 [2, 8, 6, 3]", TO_UINT8),
        (
            np.zeros((2, 8, 6, 3), np.int64),
            "int64 [2, 8, 6, 3]",
            "images.astype(np.uint8) for values in 0..255",
        ),
        (
            np.zeros((3, 8, 6)),
            "float64 [3, 8, 6]",
            "np.moveaxis(images, -3, -1) for channels first, then images[None] for a single image, then "
            f"{TO_UINT8}",
        ),
        (
            np.zeros((2, 9, 6, 3), np.uint8),
            "uint8 [2, 9, 6, 3]",
            "images of that size, or a cipher with theirs as image_shape=(H, W, C)",
        ),
        ("photo.png", "a str", "np.stack of a list of images, or image[None] for a single one"),
    ],
)
def test_the_message_names_every_step(cipher, images, got, remedy):
    with pytest.raises(ciphers.CipherError) as refused:
        cipher(images)
    assert str(refused.value) == (
        f"this lpe-100 cipher takes a NumPy array, uint8 [N, 8, 6, 3], got {got}; give {remedy}"
    )


def test_the_steps_lead_to_images_that_are_taken():
    images = np.random.default_rng(0).random((3, 8, 6))
    followed = (np.moveaxis(images, -3, -1)[None] * 255).round().astype(np.uint8)
    assert np.array_equal(COLOUR.decrypt(COLOUR.encrypt(followed)), followed)


def test_grey_images_without_an_axis_for_the_channel():
    with pytest.raises(ciphers.CipherError, match=r"images\[\.\.\., None\] for the one channel$"):
        GREY.encrypt(np.zeros((2, 8, 6), np.uint8))


def test_another_librarys_tensor_is_turned_into_an_array():
    tensor = pytest.importorskip("jax.numpy").zeros((2, 8, 6, 3))
    with pytest.raises(
        ciphers.CipherError, match=r"ArrayImpl, float32 \[2, 8, 6, 3\]; give np.asarray\(images\)"
    ):
        COLOUR.encrypt(tensor)
