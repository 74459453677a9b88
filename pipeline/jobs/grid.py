"""Grids of images: a row a scheme, a column an image, drawn as one picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_CELL = 96
_GAP = 6
_TEXT = 15
_INK = (30, 30, 30)
_PAPER = (255, 255, 255)

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the grid.

    Attributes:
      title: what stands before it.
      images: uint8 [H, W, C] each, of any shapes; C is 1 or 3.
    """

    title: str
    images: list[np.ndarray]


def draw(rows: Sequence[Row], headings: Sequence[str]) -> Image.Image:
    """Draws rows of images in cells of one size, a title before each row, a heading above each column."""
    font = ImageFont.load_default(_TEXT)
    margin = max(int(font.getlength(row.title)) for row in rows) + 2 * _GAP
    head = _TEXT + 2 * _GAP
    width = margin + len(headings) * (_CELL + _GAP)
    height = head + len(rows) * (_CELL + _GAP)
    picture = Image.new("RGB", (width, height), _PAPER)
    canvas = ImageDraw.Draw(picture)
    for j, heading in enumerate(headings):
        centre = margin + j * (_CELL + _GAP) + _CELL // 2
        canvas.text((centre, head // 2), _shortened(heading, font), _INK, font=font, anchor="mm")
    for i, row in enumerate(rows):
        top = head + i * (_CELL + _GAP)
        canvas.text((margin - _GAP, top + _CELL // 2), row.title, _INK, font=font, anchor="rm")
        for j, pixels in enumerate(row.images):
            picture.paste(cell(pixels), (margin + j * (_CELL + _GAP), top))
    return picture


def cell(pixels: np.ndarray) -> Image.Image:
    """An image, uint8 [H, W, C], of any shape, in a square of one size."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    scale = _CELL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # Small images are magnified pixel by pixel, so that cipher noise looks like what it is.
    resized = image.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS)
    square = Image.new("RGB", (_CELL, _CELL), _PAPER)
    square.paste(resized, ((_CELL - resized.width) // 2, (_CELL - resized.height) // 2))
    return square


def _shortened(text: str, font: _Font) -> str:
    """The text, cut to the width of a cell."""
    short = text
    while font.getlength(short) > _CELL and len(short) > 1:
        short = short[:-2].rstrip("…") + "…"
    return short
