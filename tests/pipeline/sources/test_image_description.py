"""What the header of an image file says of its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.sources.image_description import ImageDescription, describe
from lpe.transforms.errors import DataError
from tests.pipeline.sources import images, odd_files
from tests.pipeline.sources.odd_files import saved, tiff, with_orientation

RGB = images.pixels(1, (9, 7, 3))
DEEP = images.pixels(2, (9, 7)).astype(np.uint16) * 257


def test_a_description():
    exif, profile = with_orientation(6), odd_files.srgb_profile()
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        described = describe(saved(RGB, form, exif=exif, icc_profile=profile))
        assert described == ImageDescription(form, 9, 7, "RGB", 8, 6, 1, transparent=False, profile=True)
        assert described.size == (7, 9)


@pytest.mark.parametrize(
    ("data", "mode", "bits"),
    [
        (saved(RGB, "JPEG2000"), "RGB", 8),
        (saved(DEEP, "JPEG2000"), "I;16", 16),
        (saved(DEEP, "PNG"), "I;16", 16),
        (odd_files.png(2, np.stack([DEEP] * 3, axis=2)), "RGB", 16),
        (tiff(DEEP.tobytes() * 3, [16] * 3, (262, 2), width=7, height=9), "RGB", 16),
        (tiff(bytes(99), [12], width=7, height=9), "I;16", 12),
        (saved(DEEP.astype(np.float32), "TIFF"), "F", 32),
        (b"P5 7 9 1000 " + bytes(126), "I", 10),
        (saved(RGB[..., 0] > 127, "PNG"), "1", 1),
        (saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"), "CMYK", 8),
    ],
)
def test_the_bits_are_those_of_the_file(data, mode, bits):
    assert (describe(data).mode, describe(data).bits) == (mode, bits)


def test_frames_and_transparency():
    more = [Image.fromarray(255 - RGB), Image.fromarray(RGB // 2)]
    for form in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        assert describe(saved(RGB, form, save_all=True, append_images=more)).frames == 3, form
        assert not describe(saved(RGB, form)).transparent
    assert describe(saved(RGB, "PNG", transparency=(1, 2, 3))).transparent
    assert describe(saved(RGB, "MPO", save_all=True, append_images=more)).frames == 1


def test_what_is_no_image():
    with pytest.raises(DataError, match="it is no image"):
        describe(b"text")
