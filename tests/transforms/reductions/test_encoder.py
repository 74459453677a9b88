"""Encoders: known answers by slow integer arithmetic, bytes there and back, hostile bytes, nothing pickled."""

from __future__ import annotations

import copy
import hashlib
import math
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.reductions.convolution import Convolution
from lpe.transforms.reductions.encoder import Encoder
from lpe.transforms.reductions.learned import Learned
from lpe.transforms.reductions.thumbnail import Thumbnail
from tests.transforms.reductions.encoders import images, small_encoder

CONTENT = small_encoder().to_bytes()


def slowly(encoder: Encoder, image: np.ndarray) -> np.ndarray:
    """An image, [H, W, C], encoded by Python's own whole numbers."""
    values = image.astype(object)
    for number, each in enumerate(encoder.convolutions):
        kernel, _, _, after = each.weights.shape
        height, width, _ = values.shape
        most = 255 if number == len(encoder.convolutions) - 1 else 65535
        rows, columns = math.ceil(height / each.stride), math.ceil(width / each.stride)
        # As TensorFlow pads for `same`: the odd zero at the end.
        above = max(0, (rows - 1) * each.stride + kernel - height) // 2
        before = max(0, (columns - 1) * each.stride + kernel - width) // 2
        out = np.zeros((rows, columns, after), object)
        for y, x, channel in np.ndindex(out.shape):
            total = int(each.bias[channel])
            for i, j in np.ndindex(kernel, kernel):
                down, right = y * each.stride + i - above, x * each.stride + j - before
                if 0 <= down < height and 0 <= right < width:
                    products = zip(values[down, right], each.weights[i, j, :, channel], strict=True)
                    total += sum(int(value) * int(weight) for value, weight in products)
            out[y, x, channel] = min(max((2 * total + (1 << each.shift)) >> (each.shift + 1), 0), most)
        values = out
    return values.astype(np.uint8)


@pytest.mark.parametrize("shape", [(32, 32, 3), (13, 10, 1)])
def test_it_computes_what_whole_numbers_do(shape):
    encoder = small_encoder(3, shape)
    (image,) = images(1, shape)
    wanted = slowly(encoder, image)
    assert wanted.std() > 20
    assert (encoder.encode(image[None]) == wanted).all()
    assert encoder.released_shape == wanted.shape


def test_sums_are_exact_at_their_largest():
    first = Convolution(np.full((1, 1, 1, 256), 32767, np.int16), np.zeros(256, np.int64), 1, 0)
    largest = 9 * 256 * 65535 * 32767
    last = Convolution(np.full((3, 3, 256, 1), 32767, np.int16), np.array([100 - largest], np.int64), 1, 0)
    released = Encoder((3, 3, 1), None, (first, last)).encode(np.full((1, 3, 3, 1), 255, np.uint8))
    assert released[0, ..., 0].tolist() == [[0, 0, 0], [0, 100, 0], [0, 0, 0]]


def test_it_always_gives_the_same_bytes():
    """On any machine: the digests are those of the machine that this test was written on."""
    encoder = small_encoder()
    released = encoder.encode(images(300))
    assert encoder.digest == hashlib.sha256(CONTENT).hexdigest()
    assert encoder.digest == "e0b0ddb46bc84c222fb470d712000fa210962e4532ee41cdae9994541631d286"
    assert (
        hashlib.sha256(released.tobytes()).hexdigest()
        == "752af7901c354d31897e30010ceacdee086356b948af5d5a6d9624fa927627a3"
    )
    parts = [encoder.encode(images(300)[start : start + 7]) for start in range(0, 300, 7)]
    assert (np.concatenate(parts) == released).all()
    assert encoder.encode(images(0)).shape == (0, 8, 8, 2)


def test_large_images_are_shrunk_first():
    encoder, some = small_encoder(image_shape=(60, 40, 3), side=30), images(3, (60, 40, 3))
    assert encoder.released_shape == (8, 5, 2)
    assert (encoder.encode(some) == encoder.of_shrunk().encode(Thumbnail(30).apply(some))).all()


def test_images_of_another_shape_are_refused():
    with pytest.raises(UsageError, match="fitted to images of 32×32×3, and these are of 16×32×3"):
        Learned(small_encoder()).apply(images(1, (16, 32, 3)))


def test_there_and_back_as_bytes():
    encoder = Encoder.from_bytes(CONTENT, "encoder.bin")
    assert encoder.to_bytes() == CONTENT
    assert (encoder.encode(images(2)) == small_encoder().encode(images(2))).all()


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=80), st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT)))
def test_hostile_bytes_are_one_clear_error(inserted, start, stop):
    content = CONTENT[:start] + inserted + CONTENT[stop:]
    message = None
    try:
        encoder = Encoder.from_bytes(content, "some/encoder.bin")
    except DataError as error:
        message = str(error)
    if message is None:
        assert encoder.to_bytes() == content
    else:
        assert message.startswith("some/encoder.bin: no encoder (")
        assert "\n" not in message


HEADER = len(b"lpe-encoder/1\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends too early"),
        (b"lpe-encoder/2\n" + CONTENT[HEADER:], "starts otherwise"),
        (CONTENT[:-1], "ends too early"),
        (CONTENT + b"\0", "goes on after its end"),
        (bytes(5 << 20), "larger than 4 MB"),
        (CONTENT[:HEADER] + struct.pack("<4IB", 32, 32, 3, 0, 0), "1 to 16 convolutions"),
        (CONTENT[:HEADER] + struct.pack("<4I", 2**32 - 1, 32, 3, 8) + CONTENT[HEADER + 16 :], "such a shape"),
        (CONTENT[:HEADER] + struct.pack("<4I", 999, 32, 3, 0) + CONTENT[HEADER + 16 :], "at most 128 pixels"),
        (CONTENT[:HEADER] + struct.pack("<4I", 32, 32, 3, 99) + CONTENT[HEADER + 16 :], "cannot shrink"),
        (CONTENT[:HEADER] + struct.pack("<4I", 32, 32, 1, 0) + CONTENT[HEADER + 16 :], "do not follow"),
        (CONTENT[: HEADER + 17] + struct.pack("<3B2H", 255, 1, 0, 65535, 65535), "ends too early"),
        (CONTENT[: HEADER + 18] + b"\7" + CONTENT[HEADER + 19 :], "no such convolution"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_encoder_is_refused(content, reason):
    with pytest.raises(DataError, match=reason):
        Encoder.from_bytes(content, "encoder.bin")


def test_it_is_in_no_pickle_and_not_printed():
    reduction = Learned(small_encoder())
    for secret in (reduction, reduction.encoder, reduction.encoder.convolutions[0]):
        with pytest.raises(TypeError, match="must not be pickled"):
            pickle.dumps(secret)
        with pytest.raises(TypeError, match="must not be pickled"):
            copy.deepcopy(secret)
        assert repr(secret) == f"<{type(secret).__name__}, not shown>"
    assert str(reduction) == f"learned:{reduction.encoder.digest}"


def test_two_are_equal_by_their_bytes():
    assert Learned(small_encoder()) == Learned(Encoder.from_bytes(CONTENT, ""))
    assert len({Learned(small_encoder()), Learned(small_encoder(1)), Learned(small_encoder())}) == 2
