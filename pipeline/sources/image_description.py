"""What the header of an image file says of its pixels."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from PIL import Image

from lpe.pipeline.sources.frames import frame_count
from lpe.pipeline.sources.guarded_image import GuardedImage
from lpe.pipeline.sources.image_formats import opened
from lpe.pipeline.sources.orientation import exif_orientation, upright_size
from lpe.transforms.errors import DataError

_BITS_PER_SAMPLE = 258
_ORIENTATION = 274
_SIZ = b"\xff\x4f\xff\x51"  # the start of a JPEG 2000 codestream


@dataclasses.dataclass(frozen=True)
class ImageDescription:
    """What the header says.

    Attributes:
      format: Pillow's name, such as `JPEG`, `PNG`, `TIFF`, `JPEG2000`.
      height: of the pixels as they are stored.
      width: likewise.
      mode: Pillow's mode, such as `RGB`, `L`, `P`, `RGBA`, `CMYK`, `I;16`.
      bits: per channel as they are stored; Pillow makes 8 of a colour image's 16.
      orientation: 1..8, which way the pixels have to be turned.
      frames: of an animation, or pages.
      transparent: whether pixels may be transparent; only decoding tells whether any is.
      profile: whether it has a colour profile.
    """

    format: str
    height: int
    width: int
    mode: str
    bits: int
    orientation: int
    frames: int
    transparent: bool
    profile: bool

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) once the image is turned upright."""
        return upright_size(self.height, self.width, self.orientation)


def describe(data: bytes) -> ImageDescription:
    """Describes an encoded image from its header alone.

    Raises:
      DataError: it is no image that can be read; the message is the reason alone.
    """
    with opened(data) as (image, guarded):
        orientation = stored_orientation(image, guarded)
        height, width = stored_size(image, orientation)
        return ImageDescription(
            format=str(image.format),
            height=height,
            width=width,
            mode=image.mode,
            bits=stored_bits(image, data),
            orientation=orientation,
            frames=frame_count(image, guarded),
            transparent=image.has_transparency_data,
            profile=bool(image.info.get("icc_profile")),
        )


def stored_orientation(image: Image.Image, guarded: GuardedImage) -> int:
    """The orientation of an opened image, 1..8."""
    if image.format == "TIFF":
        orientation = image.tag_v2.get(_ORIENTATION, 1)  # type: ignore[attr-defined]
        return orientation if orientation in range(1, 9) else 1
    exif = guarded.exif if image.format == "JPEG" else image.info.get("exif", b"")
    return exif_orientation(exif) if exif else 1


def stored_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """(height, width) of an opened image's pixels as they are stored; Pillow turns a TIFF's, and its size, itself."""
    if image.format == "TIFF":
        return upright_size(image.height, image.width, orientation)
    return image.height, image.width


def stored_bits(image: Image.Image, data: bytes) -> int:
    """The bits per channel that an opened image's file has."""
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))))  # type: ignore[attr-defined]
    if image.mode == "1":
        return 1
    if image.mode == "F":
        return 32
    if image.format == "PNG":
        depth = re.search(r";(\d+)", _codec(image)[1][0])
        return int(depth[1]) if depth else 8
    if image.format == "PPM":
        return ppm_maximum(image).bit_length()
    if image.format == "JPEG2000":
        return _jpeg2000_bits(image, data)
    if image.format == "AVIF":
        return _avif_bits(data)
    return 8


def ppm_maximum(image: Image.Image) -> int:
    """The value that means white in an opened PPM of integers."""
    codec, arguments = _codec(image)
    if codec != "raw":
        return int(arguments[1])
    return 65535 if arguments[0] == "I;16B" else 255


def _codec(image: Image.Image) -> tuple[str, tuple[Any, ...]]:
    """The decoder that Pillow will use, and its arguments."""
    codec, _, _, arguments = image.tile[0]  # type: ignore[attr-defined]
    return codec, arguments if isinstance(arguments, tuple) else (arguments,)


def _jpeg2000_bits(image: Image.Image, data: bytes) -> int:
    """The most bits of a component, after the codestream's own header."""
    at = data.find(_SIZ) + 4
    components = int.from_bytes(data[at + 36 : at + 38], "big")
    depths = data[at + 38 : at + 38 + 3 * components : 3]
    if at < 4 or not depths:
        raise DataError("cannot be decoded: it has no header of its codestream")
    return max((depth & 0x7F) + 1 for depth in depths)


def _avif_bits(data: bytes) -> int:
    """8, 10 or 12, after the first configuration box."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
