"""What each reduction leaves of an image: known answers, properties, errors."""

from __future__ import annotations

import hashlib
import math
import pickle

import numpy as np
import pytest

from lpe.transforms import reductions
from lpe.transforms.errors import UsageError

SECRET = bytes(range(32))
ALL = ("thumbnail=5", "blur=1.5", "noise=32", "bits=3", "grey", "thumbnail=6,grey,noise=9,bits=7")


def images(count: int = 3, height: int = 12, width: int = 9, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), np.uint8)


def reduce(text: str, pixels: np.ndarray, secret: bytes | None = SECRET) -> np.ndarray:
    return reductions.parse(text).apply(pixels, secret)


def grey(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, np.uint8)[None, :, :, None]


# ---------------------------------------------------------------- known answers


def test_a_thumbnail_has_the_means_of_boxes():
    pixels = grey([[0, 2, 10, 20], [4, 6, 30, 40], [255, 255, 1, 0], [255, 254, 0, 0]])
    assert reduce("thumbnail=2", pixels)[0, :, :, 0].tolist() == [[3, 25], [255, 0]]
    assert reduce("thumbnail=1", pixels)[0, :, :, 0].tolist() == [[71]]  # 1132 / 16 = 70.75


def test_a_thumbnail_counts_pixels_by_the_part_that_is_inside():
    # 3 pixels to 2: (2·a + b) / 3 and (b + 2·c) / 3.
    pixels = grey([[0, 90, 30], [0, 90, 30], [0, 90, 30]])
    assert reduce("thumbnail=2", pixels)[0, :, :, 0].tolist() == [[30, 50], [30, 50]]


def test_a_thumbnail_of_24_of_32():
    """4 pixels to 3: a + b/3, 2b/3 + 2c/3, c/3 + d, each over 4/3."""
    row = np.random.default_rng(1).integers(0, 256, 32)
    pixels = np.broadcast_to(row.astype(np.uint8)[None, None, :, None], (1, 32, 32, 1))
    a, b, c, d = row.reshape(8, 4).T
    boxes = np.stack([(3 * a + b) / 4, (b + c) / 2, (c + 3 * d) / 4], axis=1).ravel()
    expected = np.floor(boxes + 0.5)
    assert (reduce("thumbnail=24", pixels)[0, :, :, 0] == expected).all()


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [((64, 32), 16, (16, 8)), ((32, 64), 16, (8, 16)), ((30, 20), 7, (7, 5)), ((100, 1), 3, (3, 1))],
)
def test_a_thumbnail_keeps_proportions(shape, side, expected):
    assert reductions.parse(f"thumbnail={side}").reduced_shape((*shape, 3)) == (*expected, 3)
    assert reduce(f"thumbnail={side}", np.zeros((1, *shape, 3), np.uint8)).shape == (1, *expected, 3)


@pytest.mark.parametrize("sigma", ["0.5", "1.5", "3", "9.25"])
def test_a_blur_is_a_gaussian_mean(sigma):
    pixels = images(2, 17, 11)
    reach = math.ceil(4 * float(sigma))
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * float(sigma) ** 2))
    kernel /= kernel.sum()
    padded = np.pad(pixels.astype(float), ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    rows = sum(weight * padded[:, i : i + 17] for i, weight in enumerate(kernel))
    expected = sum(weight * rows[:, :, i : i + 11] for i, weight in enumerate(kernel))
    assert np.abs(reduce(f"blur={sigma}", pixels) - expected).max() < 0.51


def test_a_blur_leaves_flat_images_as_they_are():
    for value in (0, 7, 255):
        flat = np.full((1, 20, 30, 3), value, np.uint8)
        assert (reduce("blur=2.5", flat) == value).all()


def test_the_top_bits():
    pixels = grey([[0b10110111, 255, 0b00011111]])
    assert reduce("bits=3", pixels)[0, 0, :, 0].tolist() == [0b10100000, 0b11100000, 0]
    assert reduce("bits=1", pixels)[0, 0, :, 0].tolist() == [128, 128, 0]
    assert reduce("bits=7", pixels)[0, 0, :, 0].tolist() == [0b10110110, 254, 0b00011110]


def test_luma():
    pixels = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [1, 2, 3]], np.uint8)
    assert reduce("grey", pixels[None, :, None])[0, :, 0, 0].tolist() == [76, 150, 29, 255, 2]


def test_a_chain_goes_from_first_to_last():
    pixels = images(2, 12, 12)
    step = reduce("thumbnail=6", pixels)
    assert np.array_equal(reduce("thumbnail=6,bits=2", pixels), reduce("bits=2", step))
    assert reductions.parse("thumbnail=6, grey").reduced_shape((12, 12, 3)) == (6, 6, 1)


# ---------------------------------------------------------------- noise


def test_the_bytes_of_noise_are_those_of_its_definition():
    """Noise is part of the format: later versions must repeat it, and so must other implementations."""
    flat = np.full((1, 4, 4, 3), 128, np.uint8)
    noisy = reduce("noise=20", flat)
    assert noisy[0, 0].ravel().tolist() == GOLDEN_ROW
    digest = hashlib.sha256(reduce("noise=255", images(2, 16, 16)).tobytes()).hexdigest()
    assert digest == GOLDEN_DIGEST


GOLDEN_ROW = [109, 125, 118, 144, 119, 113, 122, 127, 126, 73, 146, 130]
GOLDEN_DIGEST = "d7500bcd2443cc6bfdf88c79f7e828cec054b7d515197c49958ab3778b5d0ead"


def test_averaging_what_was_released_again_and_again_gains_nothing():
    """An image of ten versions, under other ids, beside other images: one and the same noisy image."""
    pixels = images(1, 32, 32)
    released = [
        reduce("noise=64", np.concatenate([images(count, 32, 32)[:0], pixels, images(count, 32, 32)]))[0]
        for count in range(1, 11)
    ]
    one = np.abs(released[0].astype(int) - pixels[0]).mean()
    average = np.mean(np.array(released, float), axis=0)
    assert np.abs(average - pixels[0]).mean() == one > 30
    # Whereas noise that is drawn anew would go away.
    anew = [reduce("noise=64", pixels, bytes([i]) * 32)[0] for i in range(10)]
    assert np.abs(np.mean(np.array(anew, float), axis=0) - pixels[0]).mean() < one / 2


def test_noise_is_normal_and_independent():
    pixels = np.full((40, 32, 32, 3), 128, np.uint8)
    pixels[:, 0, 0, 0] = np.arange(40)  # forty images that differ in one byte
    noise = reduce("noise=16", pixels).astype(float) - pixels
    noise[:, 0, 0, 0] = 0
    assert abs(noise.mean()) < 0.2
    assert noise.std() == pytest.approx(16, rel=0.01)
    assert np.mean(np.abs(noise) < 16.5) == pytest.approx(0.6976, abs=0.01)
    assert np.mean(np.abs(noise) > 48.5) == pytest.approx(0.0024, abs=0.001)
    between = np.corrcoef(noise.reshape(40, -1)) - np.eye(40)
    assert np.abs(between).max() < 0.1
    neighbours = np.corrcoef(noise[:, :, :-1].ravel(), noise[:, :, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.02


def test_other_strengths_and_secrets_are_other_noise():
    """Were one noise a multiple of the other, two releases would give the image away."""
    pixels = np.full((1, 64, 64, 3), 128, np.uint8)
    noise = {
        key: reduce(text, pixels, secret).astype(float).ravel() - 128
        for key, text, secret in (
            ("one", "noise=16", SECRET),
            ("stronger", "noise=32", SECRET),
            ("of another secret", "noise=16", bytes(32)),
        )
    }
    for other in ("stronger", "of another secret"):
        assert abs(np.corrcoef(noise["one"], noise[other])[0, 1]) < 0.05


@pytest.mark.parametrize("secret", [None, b"", bytes(31), bytes(33)])
def test_noise_needs_a_secret(secret):
    with pytest.raises(UsageError, match="noise=4: noise needs a secret of 32 bytes"):
        reduce("noise=4", images(), secret)


# ---------------------------------------------------------------- properties of all


@pytest.mark.parametrize("text", ALL)
def test_what_all_reductions_have_in_common(text):
    pixels = images()
    before = pixels.copy()
    chain = reductions.parse(text)
    out = chain.apply(pixels, SECRET)
    assert out.dtype == np.uint8
    assert out.shape == (3, *chain.reduced_shape((12, 9, 3)))
    assert np.array_equal(pixels, before)
    assert np.array_equal(out, chain.apply(pixels, SECRET))
    for i in range(3):
        assert np.array_equal(chain.apply(pixels[i : i + 1], SECRET)[0], out[i])
    assert chain.apply(pixels[:0], SECRET).shape == (0, *out.shape[1:])
    for view in (np.asfortranarray(pixels), pixels[::-1][::-1], np.repeat(pixels, 2, axis=2)[:, :, ::2]):
        assert np.array_equal(chain.apply(view, SECRET), out)
    read_only = np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape)
    assert np.array_equal(chain.apply(read_only, SECRET), out)
    assert reductions.parse(str(chain)) == chain == pickle.loads(pickle.dumps(chain))
    assert str(chain) == text
    assert chain.random == ("noise" in text)
    reshaped = chain.reduced_shape((12, 9, 3)) != (12, 9, 3)
    assert any(step.reshapes for step in chain.steps) == reshaped


def test_no_reduction():
    chain = reductions.parse("")
    pixels = images()
    assert not chain
    assert str(chain) == ""
    assert chain.apply(pixels) is pixels
    assert chain.reduced_shape((1, 2, 3)) == (1, 2, 3)


@pytest.mark.parametrize("text", ["thumbnail=3", "blur=100"])
def test_one_pixel_of_a_side_is_enough(text):
    assert reduce(text, images(1, 1, 9)).shape[1] == 1


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thumbnail", "thumbnail=: give a whole number from 1 to 16384"),
        ("thumbnail=0", "give a whole number"),
        ("thumbnail=-4", "give a whole number"),
        ("thumbnail=1e3", "give a whole number"),
        ("thumbnail=٣", "give a whole number"),
        ("thumbnail=" + "9" * 4000, "give a whole number"),
        ("blur=0", "give pixels from 0.1 to 100, such as 1.5"),
        ("blur=nan", "give pixels"),
        ("blur=1000", "give pixels"),
        ("noise=256", "give a whole number from 1 to 255"),
        ("bits=8", "give a whole number from 1 to 7"),
        ("grey=1", "it takes no value; write grey"),
        ("thumbnial=4", "did you mean thumbnail"),
        ("sharpen=4", "unknown reduction 'sharpen=4'; there is thumbnail=SIDE"),
        ("bits=4,,grey", "unknown reduction ''"),
        ("learned:somewhere", "an encoder is not known here"),
    ],
)
def test_what_is_no_reduction(text, message):
    with pytest.raises(UsageError) as caught:
        reductions.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        ("thumbnail=12", (12, 9, 3), "thumbnail=12: images of 12×9 are no larger than that"),
        ("thumbnail=13", (12, 9, 3), "at most 11"),
        ("grey", (12, 9, 1), "grey: needs images of 3 channels, not 1"),
        ("grey,grey", (12, 9, 3), "needs images of 3 channels, not 1"),
        ("thumbnail=4,thumbnail=4", (12, 9, 3), "no larger than that"),
    ],
)
def test_shapes_that_cannot_be_reduced_so(text, shape, message):
    chain = reductions.parse(text)
    with pytest.raises(UsageError, match=message):
        chain.reduced_shape(shape)
    with pytest.raises(UsageError, match=message):
        chain.apply(np.zeros((1, *shape), np.uint8), SECRET)


def test_an_encoder_is_opened_where_it_is_named():
    opened = []

    def encoder(place: str):
        opened.append(place)
        return reductions.parse("bits=1").steps[0]

    chain = reductions.parse("thumbnail=4,learned:some/dir", encoder)
    assert opened == ["some/dir"]
    assert len(chain.steps) == 2
