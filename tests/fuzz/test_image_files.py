"""Image files, damaged: decoded or refused, soon and in little memory, and never another image where there is a sum."""

import dataclasses
import io

import hypothesis
import numpy as np
from hypothesis import strategies as st
from PIL import Image

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.imagefile import decode_image, image_size
from lpe.pipeline.sources.limits import Limits
from lpe.transforms.errors import DataError
from tests.fuzz.budget import fuzz
from tests.fuzz.mutations import mutated
from tests.fuzz.trial import trial
from tests.pipeline.sources import images, odd_files
from tests.pipeline.sources.hostile import directory

OPTIONS = ReadOptions(
    limits=Limits(pixels=1 << 20), background="white", depth=8, window=(0.0, 60000.0), frame=0
)
PIXELS = images.pixels(1, (9, 7, 3))


def saved(form: str, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(out, form, **options)
    return out.getvalue()


EXIF = Image.Exif()
EXIF[0x010E], EXIF[0x0112], EXIF[0x0128] = "text", 6, 2
DEEP = PIXELS.astype(np.uint16) * 257
FRAMES = [Image.fromarray(images.pixels(seed, (9, 7, 3))) for seed in (2, 3)]
CASES = {
    "PNG": saved("PNG"),
    "PNG of a palette": saved("PNG", "P"),
    "PNG with text": saved("PNG", "LA", exif=EXIF, dpi=(72, 72)),
    "PNG of frames": saved("PNG", save_all=True, append_images=FRAMES),
    "JPEG": saved("JPEG"),
    "progressive JPEG": saved("JPEG", progressive=True, exif=EXIF),
    "JPEG in CMYK": saved("JPEG", "CMYK"),
    "GIF": saved("GIF", comment=b"text" * 80),
    "GIF of frames": saved("GIF", save_all=True, append_images=FRAMES),
    "BMP": saved("BMP"),
    "BMP of a palette": saved("BMP", "P"),
    "TIFF": saved("TIFF", exif=EXIF),
    "TIFF by LZW": saved("TIFF", compression="tiff_lzw"),
    "TIFF by deflate": saved("TIFF", compression="tiff_adobe_deflate", big_tiff=True),
    "TIFF by JPEG": saved("TIFF", compression="jpeg"),
    "TIFF of fax": saved("TIFF", "1", compression="group4"),
    "WebP": saved("WEBP"),
    "lossless WebP": saved("WEBP", "RGBA", lossless=True, exif=EXIF),
    "WebP of frames": saved("WEBP", save_all=True, append_images=FRAMES),
    "PPM": saved("PPM"),
    "PGM in words": b"P2\n3 2\n255\n0 1 2\n253 254 255\n",
    "PBM": saved("PPM", "1"),
    "JPEG 2000": saved("JPEG2000"),
    "JPEG 2000 codestream": saved("JPEG2000", no_jp2=True, tile_size=(4, 4), precinct_size=(8, 8)),
    "AVIF": saved("AVIF", exif=EXIF),
    "AVIF of frames": saved("AVIF", save_all=True, append_images=FRAMES),
    "TGA": saved("TGA"),
    "TGA by runs": saved("TGA", "RGBA", rle=True),
    "PNG of 16 bits": odd_files.png(2, DEEP),
    "PNG of deep grey": odd_files.png(0, DEEP[..., :1]),
    "TIFF of 16 bits": odd_files.tiff(DEEP.tobytes(), [16] * 3, (262, 2), width=7, height=9),
    "TIFF of 12 bits": odd_files.tiff(bytes(99), [12], width=7, height=9),
    "TIFF of real numbers": saved("TIFF", "F"),
    "a directory": directory(4, 200, (256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
}  # fmt: skip


def decode(data: bytes, options: ReadOptions) -> np.ndarray | None:
    def run() -> np.ndarray:
        try:
            return decode_image(data, options)
        except DataError as error:
            # Too much memory asked for is no way to be refused.
            if isinstance(error.__cause__, MemoryError):
                raise error.__cause__ from error
            raise

    pixels = trial(run, memory=1 << 29)
    size = trial(lambda: image_size(data), memory=1 << 29)
    if pixels is not None:
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == options.channels
        assert pixels.shape[0] * pixels.shape[1] <= options.limits.pixels
        assert size is not None
        if options.image_size == "same":
            assert pixels.shape[:2] == size
    return pixels


def test_the_cases_are_images():
    for name, data in CASES.items():
        if name != "a directory":
            assert decode(data, OPTIONS) is not None, name


@fuzz(150)
@hypothesis.given(
    st.sampled_from(sorted(CASES)).flatmap(lambda name: mutated(CASES[name])),
    st.sampled_from(["same", (5, 6)]),
    st.booleans(),
)
def test_damaged_images(data, size, grey):
    decode(data, dataclasses.replace(OPTIONS, image_size=size, grey=grey))


@fuzz(1)  # each profile takes long to make a transform of
@hypothesis.given(mutated(saved("JPEG", "CMYK", icc_profile=odd_files.ink_profile())))
def test_damaged_profiles(data):
    decode(data, OPTIONS)


@fuzz(20)
@hypothesis.given(mutated(CASES["PNG"], most=1))
def test_a_damaged_png_is_not_another_image(data):
    pixels = decode(data, OPTIONS)
    assert pixels is None or np.array_equal(pixels, PIXELS)


@fuzz(5)
@hypothesis.given(st.sampled_from([data[:12] for data in CASES.values()]), st.binary(max_size=600))
def test_any_bytes_after_a_good_start(start, rest):
    decode(start + rest, OPTIONS)
