"""Images of any mode made RGB or grey: palettes, inks with their profile, transparency."""

from __future__ import annotations

import functools
import io

from PIL import Image, ImageCms

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.limits import MOST_PROFILE_BYTES
from lpe.transforms.errors import DataError, one_line


def in_colour(image: Image.Image, options: ReadOptions) -> Image.Image:
    """The image as RGB, or as grey if `options` say so.

    Transparent pixels are laid over `background`; an alpha channel that is opaque throughout is dropped. CMYK (also
    YCCK, and a JPEG's inverted inks, which are taken for what Adobe writes) becomes sRGB by its embedded profile, with
    perceptual intent; without one by Pillow's formula, R = (255 - C) (255 - K) / 255. Profiles of RGB and grey images
    are left alone: their numbers are taken for sRGB, as most tools for training do. Grey of colour is ITU-R 601
    luma.

    Raises:
      DataError: it has transparent pixels and there is no background, or a profile that cannot be used; the message
        is the reason alone.
    """
    wanted = "L" if options.grey else "RGB"
    if image.has_transparency_data:
        image = _opaque(image.convert("RGBA"), options.background)
    elif image.mode == "CMYK":
        profile = image.info.get("icc_profile")
        image = _by_profile(image, profile) if profile else image.convert("RGB")
    elif image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image if image.mode == wanted else image.convert(wanted)


def _opaque(image: Image.Image, background: str | None) -> Image.Image:
    if image.getchannel("A").getextrema()[0] == 255:
        return image.convert("RGB")
    if background is None:
        raise DataError(
            "it has transparent pixels; pass --background COLOUR, e.g. white, to lay them over it"
        )
    below = Image.new("RGBA", image.size, background)
    below.alpha_composite(image)
    return below.convert("RGB")


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    if len(profile) > MOST_PROFILE_BYTES:
        raise DataError(
            f"its colour profile has {len(profile)} bytes, more than {MOST_PROFILE_BYTES}; save it as sRGB"
        )
    try:
        return _transform(profile).apply(image)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise DataError(f"its colour profile cannot be used ({one_line(error)}); save it as sRGB") from error


@functools.lru_cache(maxsize=4)
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform:
    """From the inks of a profile to sRGB; it takes as long to make as a photograph to decode, and most share one."""
    inks = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.ImageCmsTransform(inks, srgb, "CMYK", "RGB")
