"""The size that images are read in: cropped, stretched, by which filter, and JPEGs from a reduced decoding."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.imagefile import decode_image, fit_image, image_size
from lpe.transforms.errors import UsageError
from tests.pipeline.sources import images
from tests.pipeline.sources.odd_files import saved, with_orientation

WIDE = images.pixels(1, (20, 50, 3))
FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}


def photograph(height: int, width: int) -> np.ndarray:
    """Smooth, with edges."""
    y, x = np.mgrid[:height, :width] / min(height, width)
    waves = np.stack([np.sin(9 * x + 4 * y), np.cos(7 * y - 3 * x), np.sin(11 * x * y)], axis=2)
    waves[height // 3 : height // 2, width // 4 : width // 2] *= -0.5
    return (127.5 + 110 * waves).astype(np.uint8)


@pytest.mark.parametrize("resample", FILTERS)
def test_crop_is_pillows_fit_and_stretch_its_resize(resample):
    data = saved(WIDE, "PNG")
    cropped = decode_image(data, ReadOptions((8, 10), resample=resample))
    stretched = decode_image(data, ReadOptions((8, 10), resample=resample, fit="stretch"))
    image = Image.fromarray(WIDE)
    assert np.array_equal(cropped, np.asarray(ImageOps.fit(image, (10, 8), FILTERS[resample])))
    assert np.array_equal(stretched, np.asarray(image.resize((10, 8), FILTERS[resample])))
    assert np.array_equal(fit_image(WIDE, ReadOptions((8, 10), resample=resample)), cropped)
    assert np.array_equal(fit_image(WIDE, ReadOptions((8, 10), resample=resample, fit="stretch")), stretched)
    assert np.array_equal(decode_image(data, ReadOptions((20, 50), resample=resample)), WIDE)


@pytest.mark.parametrize("resample", FILTERS)
def test_fine_patterns_do_not_alias(resample):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = decode_image(saved(stripes, "PNG"), ReadOptions((13, 13), resample=resample))
    assert np.abs(small.astype(int) - 127).max() < 45


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_reduced_jpeg_is_nearly_the_image(orientation, mode, monkeypatch):
    image = Image.fromarray(photograph(301, 407)).convert(mode)
    data = saved(image, "JPEG", quality=95, exif=with_orientation(orientation))
    for fit in ("crop", "stretch"):
        options = ReadOptions((31, 23), fit=fit)
        reduced = decode_image(data, options).astype(int)
        with monkeypatch.context() as patch:
            patch.setattr(ReadOptions, "jpeg_reduction", None)
            full = decode_image(data, options).astype(int)
        assert reduced.shape == (31, 23, 3)
        assert not np.array_equal(reduced, full)  # it was reduced
        assert np.abs(reduced - full).mean() < 1
        assert np.abs(reduced - full).max() < 16
        grey = decode_image(data, ReadOptions((31, 23), grey=True, fit=fit))
        assert grey.shape == (31, 23, 1)


def test_a_jpeg_is_reduced_only_if_it_is_large_enough():
    photo = photograph(127, 200)
    data = saved(photo, "JPEG")
    full = Image.fromarray(decode_image(data, ReadOptions()))
    for options in (ReadOptions((32, 32)), ReadOptions((20, 20), resample="box")):  # 127 < 2 * 2 * 32
        size, method = options.image_size, FILTERS[options.resample]
        assert np.array_equal(decode_image(data, options), np.asarray(ImageOps.fit(full, size, method)))
    assert ReadOptions().pixel_settings()["jpeg_reduction"] == 2
    assert ReadOptions(resample="box").pixel_settings()["jpeg_reduction"] is None


def test_the_size_of_a_file_is_that_of_the_upright_image():
    for form in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF"):
        assert image_size(saved(WIDE, form, exif=with_orientation(6))) == (50, 20), form
        assert image_size(saved(WIDE, form, exif=with_orientation(3))) == (20, 50), form


def test_the_way_it_is_stored_does_not_change_the_pixels():
    """A photograph turned in the camera is read as one that was turned before."""
    expected = decode_image(saved(WIDE, "PNG"), ReadOptions((9, 11)))
    stored = np.ascontiguousarray(np.rot90(WIDE))
    turned = decode_image(saved(stored, "PNG", exif=with_orientation(6)), ReadOptions((9, 11)))
    assert np.array_equal(turned, expected)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"image_size": (0, 8)}, "--image-size 0x8: at least 1x1"),
        ({"image_size": (99999, 99999)}, "67108864 pixels at most"),
        ({"fit": "crops"}, "--fit crops: give crop or stretch; did you mean crop"),
        ({"resample": "nearest"}, "--resample nearest: give lanczos or bilinear or box"),
        ({"background": "whit"}, "--background whit: give a colour such as white or #ff8000"),
        ({"background": "#ffffff80"}, "--background #ffffff80"),
        ({"depth": 16}, "--depth 16: images are read in 8 bits"),
        ({"window": (5, 5)}, "--window 5:5: give LOW:HIGH"),
        ({"window": (float("nan"), 5)}, "--window nan:5"),
        ({"window": (0, float("inf"))}, "--window 0:inf"),
        ({"frame": -1}, "--frame -1: frames are counted from 0"),
    ],
)
def test_options_that_stand_for_nothing(options, part):
    with pytest.raises(UsageError) as error:
        ReadOptions(**options)
    assert part in str(error.value)


def test_every_option_is_among_the_settings():
    plain = ReadOptions().pixel_settings()
    changed = {
        "image_size": (8, 8), "grey": True, "fit": "stretch", "resample": "box", "background": "red", "depth": 8,
        "window": (0, 9), "frame": 1,
    }  # fmt: skip
    for name, value in changed.items():
        settings = ReadOptions(**{name: value}).pixel_settings()
        assert settings[name] != plain[name]
    assert ReadOptions(background="red").pixel_settings()["background"] == "#ff0000"
