"""What eyes see: known answers, and the schemes as pictures of them show them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from lpe.transforms import ciphers, reductions
from lpe.transforms.visibility import visibility

SHAPES = {"outlines", "plain to see"}


def pictures(count: int, side: int) -> np.ndarray:
    """Discs and boxes, some dark, some coloured, on plain grounds with a shine of noise, as photographs are."""
    random = np.random.RandomState(7)
    down, right = np.mgrid[0:side, 0:side] / side
    images = np.empty((count, side, side, 3), np.uint8)
    for image in images:
        values = np.full((side, side, 3), random.randint(60, 220, 3), float)
        values += 60 * (down[..., None] - 0.5) * random.rand()
        for _ in range(5):
            y, x, size = random.rand(), random.rand(), 0.1 + 0.2 * random.rand()
            if random.rand() < 0.5:
                inside = (down - y) ** 2 + (right - x) ** 2 < size**2
            else:
                inside = (abs(down - y) < size) & (abs(right - x) < size)
            values[inside] = random.choice([0, 40, 128, 230], 3)
        image[:] = np.clip(values + random.randn(side, side, 3) * 2, 0, 255)
    return images


def encrypted(name: str, images: np.ndarray, scope: str = "dataset", **params: str) -> np.ndarray:
    secrets = [hashlib.sha256(b"%d" % i).digest() for i in range(len(images))]
    keys = {"secret": secrets[0]} if scope == "dataset" else {"secrets": secrets}
    return ciphers.create(name, image_shape=images.shape[1:], **keys, **params).encrypt(images)


@pytest.fixture(scope="module")
def images():
    return pictures(8, 64)


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize(
    "change", [lambda x: x, lambda x: 255 - x, lambda x: x // 2 + 90], ids=["same", "negative", "pale"]
)
def test_the_image_itself_is_plain_to_see(images, change):
    seen = visibility(change(images), images)
    assert seen.seen == "plain to see"
    assert seen.visible
    assert seen.correlation > 0.99
    assert seen.ssim > 0.97
    assert seen.floor < 0.2


@pytest.mark.parametrize("count", [1, 2, 8])
def test_nothing_is_seen_in_random_bytes(images, count):
    seen = visibility(noise(images.shape)[:count], images[:count])
    assert (seen.seen, seen.visible) == ("nothing", False)
    assert abs(seen.ssim) < 0.1


def test_other_images_show_nothing_of_these(images):
    assert visibility(np.roll(images, 1, axis=0), images).seen == "nothing"


def test_images_that_are_all_alike_are_seen_too():
    alike = np.repeat(pictures(1, 64), 4, axis=0)
    assert visibility(alike, alike).seen == "plain to see"
    assert visibility(encrypted("lpe-50", alike), alike).visible
    assert visibility(noise(alike.shape), alike).seen == "nothing"


def test_half_of_the_pixels_are_enough(images):
    half = np.random.RandomState(1).rand(*images.shape[:3], 1) < 0.5
    assert visibility(np.where(half, images, noise(images.shape)), images).visible


@pytest.mark.parametrize("scope", ["dataset", "image"])
@pytest.mark.parametrize(
    ("cipher", "params", "words"),
    [
        ("lpe-50", {}, SHAPES),
        ("lpe-100", {}, SHAPES),
        ("cpbe-50", {}, SHAPES),
        ("cpbe-100", {}, SHAPES),
        ("cpbe-100", {"channels": "independent"}, {"nothing"}),
        ("pbe", {}, {"patches", "outlines"}),
        ("ele", {}, {"nothing"}),
        ("etc", {}, {"nothing"}),
    ],
)
def test_schemes(images, cipher, params, words, scope):
    assert visibility(encrypted(cipher, images, scope, **params), images).seen in words


def test_larger_images_show_more():
    large = pictures(4, 128)
    correlations = [
        visibility(encrypted("lpe-100", images), images).correlation for images in (large[:, ::4, ::4], large)
    ]
    assert correlations[0] + 0.1 < correlations[1]


def test_a_thumbnail_is_compared_with_the_image(images):
    shown = {
        side: visibility(reductions.parse(f"thumbnail={side}").apply(images), images) for side in (8, 16)
    }
    assert shown[8].seen == "patches"  # too few pixels for shapes
    assert shown[16].seen == "plain to see"


@pytest.mark.parametrize("channels", [1, 4])
def test_any_number_of_channels(channels):
    images = np.concatenate([pictures(4, 48)] * 2, axis=3)[..., :channels]
    assert visibility(images, images).seen == "plain to see"
    assert visibility(images[..., :1], images).visible
    assert visibility(noise(images.shape), images).seen == "nothing"


def test_images_of_many_shapes(images):
    mixed = [image[: 40 + 3 * i, : 64 - i] for i, image in enumerate(images)]
    seen = visibility(mixed, mixed)
    assert seen.correlation == pytest.approx(1)
    assert seen.scale == pytest.approx(1.7, abs=0.2)  # squares of one 32nd of a side
    assert visibility([noise(image.shape) for image in mixed], mixed).seen == "nothing"


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 1), (1, 40, 3), (5, 5, 3)])
def test_tiny_images_and_flat_ones(shape):
    tiny = noise((3, *shape))
    assert 0 <= visibility(tiny, tiny).correlation <= 1.001
    flat = np.full((2, *shape), 7, np.uint8)
    seen = visibility(flat, flat)
    assert (seen.correlation, seen.seen) == (0, "nothing")


def test_in_json(images):
    value = visibility(images, images).to_json()
    assert value.keys() == {"correlation", "ssim", "scale", "floor", "seen", "visible"}
    assert (value["seen"], value["visible"], value["scale"]) == ("plain to see", True, 1)
