"""Images of more than 8 bits per channel, made into 8."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.image_description import ppm_maximum, stored_bits
from lpe.pipeline.sources.image_formats import opened
from lpe.transforms.errors import DataError

_PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 262, 284, 339  # a TIFF's tags
_PIXELS_AT_ONCE = 1 << 20


def in_eight_bits(image: Image.Image, bits: int, options: ReadOptions) -> Image.Image:
    """The image if its channels have at most 8 bits, else what `options` ask for.

    `depth=8` keeps the upper 8 bits of the file's depth: a value v of 16 bits becomes v >> 8, of 12 bits v >> 4, in
    grey and colour, PNG and TIFF alike. `window=(low, high)` makes a grey value v
    floor(255 (v - low) / (high - low) + 1/2), clipped to 0..255; grey images of up to 8 bits have no such values and
    stay as they are. A deep AVIF's colours are what its decoder makes of them in 8 bits.

    Args:
      image: opened, not decoded.
      bits: per channel in the file.
      options: `depth` and `window`.

    Raises:
      DataError: more than 8 bits, and `options` do not say what to do; the message is the reason alone.
    """
    if bits <= 8:
        return image
    if not image.mode.startswith(("I", "F")):
        return _deep_colour(image, bits, options)
    if "transparency" in image.info:
        raise DataError(f"it is grey of {bits} bits with a transparent value; convert it to 8 bits")
    whole = image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I")
    if options.window is None and not (whole and options.depth == 8):
        kind, remedy = (
            ("", "--depth 8 for the upper 8 bits or ") if whole else (" (signed, real or long)", "")
        )
        raise DataError(
            f"it is grey of {bits} bits{kind}; pass {remedy}--window LOW:HIGH for a range of values"
        )
    values = _grey_values(image, bits)
    if options.window is not None:
        pixels = _in_window(values, *options.window)
    else:
        pixels = (values >> (bits - 8)).astype(np.uint8)
    if image.format == "TIFF" and _tag(image, _PHOTOMETRIC, 1) == 0:  # 0 is white, which Pillow passes over
        pixels = 255 - pixels
    return Image.fromarray(pixels)


def grey_range(data: bytes) -> tuple[float, float] | None:
    """The lowest and the highest value of a grey image of more than 8 bits; None for another.

    Raises:
      DataError: it cannot be decoded; the message is the reason alone.
    """
    with opened(data) as (image, _):
        bits = stored_bits(image, data)
        if bits <= 8 or not image.mode.startswith(("I", "F")):
            return None
        values = _grey_values(image, bits)
        return float(values.min()), float(values.max())


def _deep_colour(image: Image.Image, bits: int, options: ReadOptions) -> Image.Image:
    """Pillow reads the upper 8 bits of each channel."""
    if options.depth != 8:
        raise DataError(f"it has {bits} bits per channel; pass --depth 8 to read the upper 8 bits of each")
    if image.format == "PPM" or (image.format == "TIFF" and _tag(image, _PLANAR, 1) != 1):
        raise DataError(f"it has {bits} bits per channel in an order that is not read; save it as PNG")
    if "transparency" in image.info:
        raise DataError(f"it has {bits} bits per channel and a transparent colour; convert it to 8 bits")
    return image


def _grey_values(image: Image.Image, bits: int) -> np.ndarray:
    """The values in the file: [H, W], integers or float32."""
    maximum = ppm_maximum(image) if image.format == "PPM" else None
    values = np.asarray(image)
    if image.format == "JPEG2000":  # Pillow aligns them to the left
        return values >> (16 - bits)
    if maximum is not None and maximum != 65535:  # which Pillow scales them to
        return np.rint(values * (maximum / 65535)).astype(np.int32)
    if image.format == "TIFF" and image.mode == "I" and _tag(image, _SAMPLE_FORMAT, 1) == 1:
        return values.view(np.uint32)
    return values


def _in_window(values: np.ndarray, low: float, high: float) -> np.ndarray:
    pixels = np.empty(values.shape, np.uint8)
    rows = max(1, _PIXELS_AT_ONCE // values.shape[1])
    for top in range(0, len(values), rows):
        scaled = (values[top : top + rows].astype(np.float64) - low) * (255 / (high - low))
        if np.isnan(scaled).any():
            raise DataError("it has values that are no numbers")
        pixels[top : top + rows] = np.floor(np.clip(scaled, 0, 255) + 0.5)
    return pixels


def _tag(image: Image.Image, tag: int, default: int) -> int:
    value = image.tag_v2.get(tag, default)  # type: ignore[attr-defined]
    return int(value[0] if isinstance(value, tuple) else value)
