"""The contact sheet of a source: a row for each class, images as they are stored, odd ones marked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lpe.pipeline.jobs.inspection.survey import Survey, mode_name
from lpe.pipeline.jobs.inspection.thumbnail import fitted, thumbnail
from lpe.pipeline.records.bad_records import BadRecord
from lpe.pipeline.sources.base import Source
from lpe.pipeline.sources.image_description import ImageDescription, describe
from lpe.pipeline.sources.limits import Limits
from lpe.transforms.errors import DataError

CELL, GAP, CAPTION, MARGIN, HEAD = 112, 10, 30, 170, 44
"""Pixels: a thumbnail's square, between two, the lines below one, before and above them all."""
COLUMNS = 8
_MOST_CLASSES = 10
_INK, _FAINT, _PAPER, _MAT = (25, 25, 25), (120, 120, 120), (255, 255, 255), (243, 243, 243)
_ODD = (190, 75, 0)

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclasses.dataclass(frozen=True)
class Tile:
    """An image of the sheet.

    Attributes:
      picture: RGB, not larger than a cell; None if it cannot be read.
      caption: its split and size.
      odd: what is unusual about it, if anything is.
    """

    picture: Image.Image | None
    caption: str
    odd: str = ""


def contact_sheet(survey: Survey, source: Source, limits: Limits) -> Image.Image:
    """Draws the first images of up to ten classes: all, or the most and the least frequent ones.

    Args:
      survey: what was found.
      source: opened so that images keep their sizes.
      limits: larger images are not decoded.

    Raises:
      DataError: the source is damaged as a whole.
    """
    counts = np.sum(list(survey.counts().values()), axis=0)
    shown = _classes(counts)
    chosen = {label: _chosen(survey, label) for label in shown}
    tiles: dict[int, Tile] = {}
    for number, (split, bounds) in enumerate(survey.splits.items()):
        wanted = np.sort(np.concatenate([chosen[label] for label in shown]))
        here = wanted[survey.split_of(wanted) == number]
        if len(here):
            tiles.update(_tiles(source, split, here, bounds.start, limits))
    titles = [(survey.class_names[label], f"{counts[label]:,} images") for label in shown]
    which = "" if len(shown) == len(counts) else f"; the largest and the smallest of {len(counts):,} classes"
    heading = f"{source.uri}: {counts.sum():,} images, not encrypted{which}"
    rows = [[tiles[row] for row in chosen[label].tolist() if row in tiles] for label in shown]
    return _drawn(heading, titles, rows)


def _classes(counts: np.ndarray) -> list[int]:
    if len(counts) <= _MOST_CLASSES:
        return list(range(len(counts)))
    order: list[int] = np.argsort(-counts, kind="stable").tolist()
    return order[: _MOST_CLASSES // 2] + order[-(_MOST_CLASSES // 2) :]


def _chosen(survey: Survey, label: int) -> np.ndarray:
    """Rows of a class: the first ones of each split, and one that is unreadable, if there is one."""
    rows = np.flatnonzero(survey.labels == label)
    unreadable = rows[~survey.readable[rows]][:1]
    rows = rows[survey.readable[rows]]
    splits = survey.split_of(rows)
    # The first of each split, then the second of each, and so on.
    rank = np.concatenate([np.arange(n) for n in np.bincount(splits)]) if len(rows) else rows
    first = rows[np.argsort(rank, kind="stable")][: COLUMNS - len(unreadable)]
    return np.concatenate([np.sort(first), unreadable])


def _tiles(
    source: Source, split: str, rows: np.ndarray, start: int, limits: Limits
) -> Iterator[tuple[int, Tile]]:
    """The tiles of some rows (ascending) of a split, which begins at row `start`."""

    def pass_over(record: BadRecord) -> None:
        """What has no bytes has no tile."""

    part = source.slice(split, rows - start)
    encoded = part.encoded(pass_over)
    if encoded is not None:
        for file in encoded:
            yield int(rows[file.offset]), _tile(file.data, split, limits)
        return
    for batch in part.batches(COLUMNS, pass_over):
        for offset, pixels in zip(batch.offsets.tolist(), batch.images, strict=True):
            image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
            caption = f"{split} {image.height}x{image.width}"
            yield int(rows[offset]), Tile(fitted(image, CELL), caption)


def _tile(data: bytes, split: str, limits: Limits) -> Tile:
    try:
        described = describe(data)
    except DataError:
        return Tile(None, split, "no image")
    height, width = described.size
    caption = f"{split} {height}x{width}"
    try:
        return Tile(thumbnail(data, described, CELL, limits), caption, _odd(described))
    except DataError:
        return Tile(None, caption, "cannot be decoded")


def _odd(described: ImageDescription) -> str:
    """What is unusual about an image, as short as it has to be."""
    words = []
    if described.frames > 1:
        words.append(f"{described.frames} frames")
    if described.transparent:
        words.append("transparent")
    if described.bits > 8 or described.mode == "CMYK":
        words.append(mode_name(described))
    if described.orientation != 1:
        words.append(f"turned ({described.orientation})")
    return ", ".join(words)


def _drawn(heading: str, titles: list[tuple[str, str]], rows: list[list[Tile]]) -> Image.Image:
    large, small = ImageFont.load_default(16), ImageFont.load_default(12)
    width = MARGIN + COLUMNS * (CELL + GAP)
    sheet = Image.new("RGB", (width, HEAD + len(rows) * (CELL + CAPTION + GAP)), _PAPER)
    canvas = ImageDraw.Draw(sheet)
    canvas.text((GAP, HEAD // 2), _cut(heading, large, width - 2 * GAP), _INK, font=large, anchor="lm")
    for i, ((title, subtitle), tiles) in enumerate(zip(titles, rows, strict=True)):
        top = HEAD + i * (CELL + CAPTION + GAP)
        middle = top + CELL // 2
        room = MARGIN - 2 * GAP
        canvas.text((MARGIN - GAP, middle), _cut(title, large, room), _INK, font=large, anchor="rb")
        canvas.text((MARGIN - GAP, middle + 4), subtitle, _FAINT, font=small, anchor="rt")
        for j, tile in enumerate(tiles):
            left = MARGIN + j * (CELL + GAP)
            _draw_tile(sheet, canvas, tile, left, top)
            canvas.text((left, top + CELL + 2), _cut(tile.caption, small, CELL), _FAINT, font=small)
            canvas.text((left, top + CELL + 16), _cut(tile.odd, small, CELL), _ODD, font=small)
    return sheet


def _draw_tile(sheet: Image.Image, canvas: ImageDraw.ImageDraw, tile: Tile, left: int, top: int) -> None:
    right, bottom = left + CELL - 1, top + CELL - 1
    canvas.rectangle((left, top, right, bottom), fill=_MAT)
    if tile.picture is None:
        canvas.line((left, top, right, bottom), _ODD, 2)
        canvas.line((left, bottom, right, top), _ODD, 2)
        return
    x, y = left + (CELL - tile.picture.width) // 2, top + (CELL - tile.picture.height) // 2
    sheet.paste(tile.picture, (x, y))


def _cut(text: str, font: _Font, width: int) -> str:
    """The text, cut to a width in pixels."""
    short = text
    while font.getlength(short) > width and len(short) > 1:
        short = short[:-2].rstrip("…") + "…"
    return short
