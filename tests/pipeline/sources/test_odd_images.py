"""What becomes of each odd kind of image file: the table in pipeline/README.md, line by line."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.imagefile import decode_image, image_size
from lpe.pipeline.sources.limits import Limits
from lpe.transforms.errors import DataError
from tests.pipeline.sources import images, odd_files
from tests.pipeline.sources.odd_files import packed_12, png, saved, tiff, with_orientation

README = Path(__file__).parents[3] / "pipeline" / "README.md"
RGB = images.pixels(1, (6, 4, 3))
GREY = images.pixels(2, (6, 4))
DEEP = np.linspace(0, 65535, 24).astype(np.uint16).reshape(6, 4)
TWELVE = np.linspace(0, 4095, 24).astype(np.uint16).reshape(6, 4)
ALPHA = np.arange(24, dtype=np.uint8).reshape(6, 4) * 11
LOSSLESS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}


@dataclasses.dataclass(frozen=True)
class Case:
    """A file, the options that it is read with, and the pixels that it becomes or the reason why it is a bad record."""

    data: bytes
    expected: np.ndarray | str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    within: int = 0


def turned() -> list[Case]:
    """What stored pixels mean by Exif's definition, written out without Pillow's names for it."""
    stored = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: RGB.transpose(1, 0, 2)[::-1],
        7: RGB.transpose(1, 0, 2)[::-1, ::-1],
        8: RGB.transpose(1, 0, 2)[:, ::-1],
    }
    cases = []
    for orientation, view in stored.items():
        pixels, exif = np.ascontiguousarray(view), with_orientation(orientation)
        cases += [Case(saved(pixels, form, exif=exif, **options), RGB) for form, options in LOSSLESS.items()]
        cases.append(Case(saved(pixels, "TIFF", exif=exif, compression="tiff_lzw"), RGB))
        smooth = np.kron(pixels[::2, ::2] // 2, np.ones((16, 16, 1), np.uint8))
        upright = decode_image(saved(smooth, "JPEG", quality=100, subsampling=0), ReadOptions())
        back = {
            1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
            6: np.rot90(upright, -1), 7: np.rot90(upright, 2).transpose(1, 0, 2), 8: np.rot90(upright),
        }[orientation]  # fmt: skip
        cases.append(Case(saved(smooth, "JPEG", quality=100, subsampling=0, exif=exif), back))
    return cases


def odd_exif() -> list[Case]:
    def block(entries: bytes, count: int | None = None, order: bytes = b"MM\0*\0\0\0\x08") -> bytes:
        return order + struct.pack(">H", len(entries) // 12 if count is None else count) + entries + bytes(4)

    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    damaged = [
        b"",
        b"MM\0*",
        b"MM\0*\xff\xff\xff\xff",
        b"XX\0*" + block(entry)[4:],
        block(entry, 65535)[:-8],
        block(struct.pack(">HHIHH", 0x0112, 3, 1, 9, 0)),
        block(struct.pack(">HHIHH", 0x0112, 2, 1, 6, 0)),
        block(struct.pack(">HHIHH", 0x0112, 3, 1 << 31, 6, 0)),
    ]
    return [Case(saved(RGB, "PNG", exif=exif), RGB) for exif in damaged]


def laid_over(
    colour: tuple[int, int, int], alpha: np.ndarray = ALPHA, pixels: np.ndarray = RGB
) -> np.ndarray:
    share = alpha[..., None] / 255
    return np.rint(pixels * share + np.array(colour) * (1 - share)).astype(np.uint8)


def opaque() -> list[Case]:
    full = np.full((6, 4, 1), 255, np.uint8)
    rgba, la = np.concatenate([RGB, full], axis=2), np.stack([GREY, full[..., 0]], axis=2)
    unused = next(i for i in range(256) if i not in GREY)
    grey = np.repeat(GREY[..., None], 3, axis=2)
    return [
        *(Case(saved(rgba, form, **options), RGB) for form, options in LOSSLESS.items()),
        Case(saved(rgba, "TGA"), RGB),
        Case(saved(Image.fromarray(la, "LA"), "PNG"), grey),
        Case(saved(GREY, "PNG", transparency=unused), grey),
    ]


def transparent() -> list[Case]:
    rgba = np.concatenate([RGB, ALPHA[..., None]], axis=2)
    grey = np.repeat(GREY[..., None], 3, axis=2)
    one = tuple(int(value) for value in RGB[0, 0])
    keyed = np.where((one == RGB).all(axis=2), 0, 255)
    palette = Image.fromarray(RGB).quantize(8)
    colours = np.asarray(palette.convert("RGB"))
    first = np.where(np.asarray(palette) == 0, 0, 255)
    files = [
        *((saved(rgba, form, **options), ALPHA, RGB) for form, options in LOSSLESS.items()),
        (saved(Image.fromarray(np.stack([GREY, ALPHA], axis=2), "LA"), "PNG"), ALPHA, grey),
        (saved(RGB, "PNG", transparency=one), keyed, RGB),
        (saved(GREY, "PNG", transparency=int(GREY[0, 0])), np.where(GREY[0, 0] == GREY, 0, 255), grey),
        (saved(palette, "PNG", transparency=0), first, colours),
        (saved(palette, "GIF", transparency=0), first, colours),
    ]
    cases = []
    for data, alpha, pixels in files:
        cases.append(Case(data, r"transparent pixels; pass --background COLOUR"))
        for name, colour in {"white": (255, 255, 255), "#102030": (16, 32, 48)}.items():
            cases.append(Case(data, laid_over(colour, alpha, pixels), {"background": name}, within=1))
    return cases


def palettes() -> list[Case]:
    palette = Image.fromarray(RGB).quantize(8)
    colours = np.asarray(palette.convert("RGB"))
    return [Case(saved(palette, form), colours) for form in ("PNG", "GIF", "BMP", "TIFF", "TGA")]


INKS = images.pixels(3, (6, 4, 4))


def inks() -> list[Case]:
    cyan, magenta, yellow, black = np.moveaxis(INKS.astype(int), 2, 0)
    formula = np.stack([(255 - ink) * (255 - black) / 255 for ink in (cyan, magenta, yellow)], axis=2)
    image = Image.fromarray(INKS, "CMYK")
    photo = Image.new("CMYK", (16, 16), (200, 20, 40, 60))
    as_rgb = np.broadcast_to(np.rint([55 * 195 / 255, 235 * 195 / 255, 215 * 195 / 255]), (16, 16, 3))
    return [
        Case(saved(image, "TIFF"), formula.astype(np.uint8), within=1),
        Case(saved(photo, "JPEG", quality=95), as_rgb.astype(np.uint8), within=3),
    ]


def inks_with_profile() -> list[Case]:
    photo = Image.new("CMYK", (16, 16), (200, 20, 40, 0))
    dark = Image.new("CMYK", (16, 16), (0, 0, 0, 255))
    profile = odd_files.ink_profile()
    white, black = np.full((16, 16, 3), 255, np.uint8), np.zeros((16, 16, 3), np.uint8)
    bad = "its colour profile cannot be used .*; save it as sRGB"
    return [
        Case(saved(photo, "TIFF", icc_profile=profile), white, within=3),
        Case(saved(dark, "TIFF", icc_profile=profile), black, within=3),
        Case(saved(photo, "JPEG", icc_profile=profile, quality=100), white, within=3),
        Case(saved(photo, "TIFF", icc_profile=b"no profile"), bad),
        Case(saved(photo, "JPEG", icc_profile=profile[:-900]), bad),
        Case(saved(photo, "JPEG", icc_profile=odd_files.srgb_profile()), bad),
        Case(
            saved(photo, "TIFF", icc_profile=bytes((4 << 20) + 1)),
            "profile has 4194305 bytes, more than 4194304",
        ),
    ]


def other_profiles() -> list[Case]:
    profile = odd_files.srgb_profile()
    return [
        Case(saved(RGB, "PNG", icc_profile=profile), RGB),
        Case(saved(RGB, "PNG", icc_profile=b"junk"), RGB),
    ]


def spread(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[..., None], 3, axis=2).astype(np.uint8)


def in_window(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return spread(np.floor(np.clip((values.astype(float) - low) * 255 / (high - low), 0, 255) + 0.5))


def deep_grey() -> list[Case]:
    white_is_zero = tiff(DEEP.tobytes(), [16], (262, 0))
    files = [
        saved(DEEP, "PNG"),
        saved(DEEP, "TIFF"),
        saved(DEEP, "TIFF", compression="tiff_lzw"),
        saved(DEEP, "PPM"),
    ]
    files += [saved(DEEP, "JPEG2000", irreversible=False), tiff((65535 - DEEP).tobytes(), [16], (262, 0))]
    cases = [Case(white_is_zero, 255 - spread(DEEP >> 8), {"depth": 8})]
    for data in files:
        cases += [
            Case(data, "grey of 16 bits; pass --depth 8 for the upper 8 bits or --window LOW:HIGH"),
            Case(data, spread(DEEP >> 8), {"depth": 8}),
        ]
    for data in files[:-1]:
        cases.append(Case(data, in_window(DEEP, 1000, 40000), {"window": (1000, 40000)}))
        cases.append(
            Case(data, in_window(DEEP, 1000, 40000)[..., :1], {"window": (1000, 40000), "grey": True})
        )
    key = png(0, DEEP[..., None], (b"tRNS", struct.pack(">H", int(DEEP[1, 1]))))
    return [*cases, Case(key, "16 bits with a transparent value", {"depth": 8})]


def deep_colour() -> list[Case]:
    colour = np.stack([DEEP, DEEP[::-1], DEEP // 2 + 300], axis=2)
    upper = (colour >> 8).astype(np.uint8)
    files = [png(2, colour), tiff(colour.tobytes(), [16, 16, 16], (262, 2))]
    cases = [Case(data, "16 bits per channel; pass --depth 8") for data in files]
    cases += [Case(data, upper, {"depth": 8}) for data in files]
    cases += [Case(data, "16 bits per channel; pass --depth 8", {"window": (0, 1000)}) for data in files]
    alpha = np.full((6, 4, 1), 65535, np.uint16)
    cases.append(Case(png(6, np.concatenate([colour, alpha], axis=2)), upper, {"depth": 8}))
    cases.append(
        Case(png(6, np.concatenate([colour, alpha // 2], axis=2)), "transparent pixels", {"depth": 8})
    )
    cases.append(Case(png(4, np.stack([DEEP, alpha[..., 0]], axis=2)), spread(DEEP >> 8), {"depth": 8}))
    key = png(2, colour, (b"tRNS", colour[0, 0].astype(">u2").tobytes()))
    cases.append(Case(key, "and a transparent colour", {"depth": 8}))
    ppm = b"P6 4 6 65535\n" + colour.astype(">u2").tobytes()
    return [*cases, Case(ppm, "in an order that is not read; save it as PNG", {"depth": 8})]


def twelve_bits() -> list[Case]:
    file, pgm = tiff(packed_12(TWELVE), [12]), b"P5 4 6 4095\n" + TWELVE.astype(">u2").tobytes()
    return [
        case
        for data in (file, pgm)
        for case in (
            Case(data, "grey of 12 bits; pass --depth 8"),
            Case(data, spread(TWELVE >> 4), {"depth": 8}),
            Case(data, in_window(TWELVE, 100, 3000), {"window": (100, 3000)}),
        )
    ]


def other_numbers() -> list[Case]:
    real = (np.arange(24, dtype=np.float32).reshape(6, 4) - 8) / 4
    whole = np.arange(24, dtype=np.int32).reshape(6, 4) * 100_000
    signed = (np.arange(24).reshape(6, 4) * 100 - 1000).astype(np.int16)
    long = np.array([0, 1 << 31, (1 << 32) - 1] * 8, np.uint32).reshape(6, 4)
    files = {
        "real": (saved(real, "TIFF"), real, (-1.5, 3)),
        "whole": (saved(whole, "TIFF"), whole, (0, 2_000_000)),
        "signed": (tiff(signed.tobytes(), [16], (339, 2)), signed, (-160, 240)),
        "long": (tiff(long.tobytes(), [32]), long, (0, float(1 << 32))),
    }
    cases = []
    for data, values, window in files.values():
        cases.append(Case(data, r"\(signed, real or long\); pass --window LOW:HIGH", {"depth": 8}))
        cases.append(Case(data, in_window(values, *window), {"window": window}, within=1))
    none = real.copy()
    none[0, 0] = np.nan
    return [*cases, Case(saved(none, "TIFF"), "values that are no numbers", {"window": (0, 1)})]


def bilevel() -> list[Case]:
    bits = GREY > 127
    return [
        Case(saved(Image.fromarray(bits), form), spread(bits * 255)) for form in ("PNG", "TIFF", "BMP", "PPM")
    ]


def frames() -> list[Case]:
    pictures = [
        Image.fromarray(images.pixels(seed, (6, 4, 3))).quantize(16).convert("RGB") for seed in (4, 5, 6)
    ]
    more = {"save_all": True, "append_images": pictures[1:]}
    files = [
        saved(pictures[0], form, **LOSSLESS.get(form, {}), **more) for form in ("GIF", "PNG", "WEBP", "TIFF")
    ]
    cases = []
    for data in files:
        cases.append(Case(data, "it has 3 frames or pages; pass --frame 0 to read the first"))
        cases.append(Case(data, "3 frames or pages, and no frame 3", {"frame": 3}))
        cases += [Case(data, np.asarray(picture), {"frame": i}) for i, picture in enumerate(pictures)]
    return [*cases, Case(saved(RGB, "PNG"), RGB, {"frame": 7})]


def further_pictures() -> list[Case]:
    phone = saved(RGB, "MPO", save_all=True, append_images=[Image.fromarray(GREY)], quality=95)
    return [Case(phone, decode_image(saved(RGB, "JPEG", quality=95), ReadOptions()))]


def too_large() -> list[Case]:
    limits = {"limits": Limits(pixels=1 << 12)}
    large = np.zeros((65, 64, 3), np.uint8)
    files = [
        saved(large, form)
        for form in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "AVIF", "TGA")
    ]
    reduced = [Case(files[0], "65x64 pixels, more than 4096", {**limits, "image_size": (8, 8)})]
    return reduced + [Case(data, "65x64 pixels, more than 4096; raise that with", limits) for data in files]


ROWS = {
    "Exif orientation 1 to 8": turned,
    "Exif that is damaged, or says none of the eight": odd_exif,
    "alpha channel or transparent colour, all pixels opaque": opaque,
    "transparent pixels: alpha, palette entry or colour": transparent,
    "palette": palettes,
    "CMYK or YCCK without a profile": inks,
    "CMYK or YCCK with a profile": inks_with_profile,
    "RGB or grey with a profile": other_profiles,
    "16-bit grey": deep_grey,
    "16-bit colour, or grey with alpha": deep_colour,
    "12-bit grey": twelve_bits,
    "signed, 32-bit or real grey": other_numbers,
    "1 bit": bilevel,
    "animation, or several pages": frames,
    "JPEG with further pictures (MPO)": further_pictures,
    "more pixels than `--max-pixels`": too_large,
}


@pytest.mark.parametrize("row", ROWS)
def test_it_becomes_what_the_table_says(row):
    for i, case in enumerate(ROWS[row]()):
        if isinstance(case.expected, str):
            with pytest.raises(DataError, match=case.expected):
                print(i, decode_image(case.data, ReadOptions(**case.options)))
            continue
        pixels = decode_image(case.data, ReadOptions(**case.options))
        assert pixels.dtype == np.uint8
        assert pixels.shape == case.expected.shape, i
        assert np.abs(pixels.astype(int) - case.expected).max() <= case.within, i
        assert pixels.shape[:2] == image_size(case.data), i


def test_the_table_has_these_lines():
    text = README.read_text().partition("| file |")[2].partition("\n\n")[0]
    assert [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines()[2:]] == list(ROWS)
