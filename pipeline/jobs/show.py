"""show: a picture of what encryption does; one row a scheme, one column an image (the paper's Fig. 1)."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lpe.pipeline import storage
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.batch_transforms import Decrypt
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.sources.plan import Plan, ReadSpec, open_plan, plan_dataset
from lpe.pipeline.sources.samples import examples, one_of_each_class
from lpe.transforms import ciphers
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, UsageError

_CELL = 96
_GAP = 6
_TEXT = 15
_INK = (30, 30, 30)
_PAPER = (255, 255, 255)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the picture: its title, and uint8 [H, W, C] images."""

    title: str
    images: list[np.ndarray]


def draw_grid(rows: list[Row], columns: list[str]) -> Image.Image:
    """Rows of images of any shapes in cells of one size, a title before each row, a name above each column."""
    font = ImageFont.load_default(_TEXT)
    margin = max(int(font.getlength(row.title)) for row in rows) + 2 * _GAP
    head = _TEXT + 2 * _GAP
    width = margin + len(columns) * (_CELL + _GAP)
    height = head + len(rows) * (_CELL + _GAP)
    picture = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    for j, name in enumerate(columns):
        centre = margin + j * (_CELL + _GAP) + _CELL // 2
        draw.text((centre, head // 2), _shortened(name, font), _INK, font=font, anchor="mm")
    for i, row in enumerate(rows):
        top = head + i * (_CELL + _GAP)
        draw.text((margin - _GAP, top + _CELL // 2), row.title, _INK, font=font, anchor="rm")
        for j, pixels in enumerate(row.images):
            picture.paste(_cell(pixels), (margin + j * (_CELL + _GAP), top))
    return picture


def _cell(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    scale = _CELL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # Small images are magnified pixel by pixel, so that cipher noise looks like what it is.
    resized = image.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS)
    cell = Image.new("RGB", (_CELL, _CELL), _PAPER)
    cell.paste(resized, ((_CELL - resized.width) // 2, (_CELL - resized.height) // 2))
    return cell


def _shortened(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    short = name
    while font.getlength(short) > _CELL and len(short) > 1:
        short = short[:-2].rstrip("…") + "…"
    return short


def show_dataset(
    path: str, keystore: str | None, against: str | None, split: str | None, count: int
) -> tuple[Image.Image, list[dict[str, str]]]:
    """The first images of a dataset, one of each class first; plain above encrypted where both can be had.

    The plain images come from decrypting with `keystore`, or from the plain dataset `against`. What is within a
    seal is shown with `keystore` alone.

    Returns:
      The picture, and id and class of each column.
    """
    data = open_dataset(path)
    if keystore is None:
        data.check_open()
    chosen = one_of_each_class(plan_dataset(data), split, count)
    names = data.class_names
    labels = [int(batch.labels[0]) for batch in chosen]
    rows = [Row("plain", [batch.images[0] for batch in chosen])]
    if data.encryption is not None:
        encryption = Encryption.from_json(data.encryption, data.directory)
        rows = [Row(encryption.spec.name, rows[0].images)]
        if keystore is not None:
            key = encryption.open_key(keystore)
            if encryption.seal is not None:
                data_key = key.data_key(encryption.spec.salt)
                chosen = [data_key.unseal(batch, encryption.seal.image_shape) for batch in chosen]
                encryption = dataclasses.replace(encryption, seal=None)
                rows = [Row(encryption.spec.name, [batch.images[0] for batch in chosen])]
            restore = Decrypt(keystore, encryption, len(names)).open()
            plain = [restore(batch) for batch in chosen]
            labels = [int(batch.labels[0]) for batch in plain]
            names = encryption.class_names(key, names)
            rows.insert(0, Row("plain", [batch.images[0] for batch in plain]))
        elif against is not None:
            plain_data = open_dataset(against)
            plain_data.check_open()
            ids = [batch.ids[0] for batch in chosen]
            rows.insert(0, Row("plain", _same_ids(plan_dataset(plain_data), ids, split)))
    columns = [
        {"id": batch.ids[0], "class": names[label]} for batch, label in zip(chosen, labels, strict=True)
    ]
    return draw_grid(rows, [column["class"] for column in columns]), columns


def show_ciphers(
    spec: ReadSpec, names: list[str], split: str | None, count: int
) -> tuple[Image.Image, list[dict[str, str]]]:
    """Images of a source, plain and under each scheme, with keys made for this picture and forgotten."""
    with open_plan(spec) as source:
        if source.dataset is not None and source.dataset.encrypted:
            raise DataError(f"{spec.source}: this dataset is encrypted; show it without --ciphers")
        chosen = one_of_each_class(source, split, count)
        rows = [Row("plain", [batch.images[0] for batch in chosen])]
        for name in names:
            if name != "plain":
                secret = secrets.token_bytes(32)
                rows.append(Row(name, [_encrypt(name, secret, batch) for batch in chosen]))
        columns = [{"id": b.ids[0], "class": source.class_names[int(b.labels[0])]} for b in chosen]
    return draw_grid(rows, [column["class"] for column in columns]), columns


def save(picture: Image.Image, path: str) -> None:
    """Writes the picture as PNG. Raises UsageError for another ending."""
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"{path}: the picture is a PNG; give --output a name that ends in .png")
    with storage.open_atomic(path) as file:
        picture.save(file, "png", optimize=True)


def _encrypt(name: str, secret: bytes, batch: ImageBatch) -> np.ndarray:
    height, width, channels = batch.images.shape[1:]
    cipher = ciphers.create(name, secret=secret, image_shape=(height, width, channels))
    return np.asarray(cipher.encrypt(batch.images)[0])


def _same_ids(plain: Plan, ids: list[str], split: str | None) -> list[np.ndarray]:
    left = set(ids)
    found: dict[str, np.ndarray] = {}
    for name in [split] if split else plain.splits:
        for example in examples(plain, name):
            if example.ids[0] in left:
                found[example.ids[0]] = example.images[0]
                left.remove(example.ids[0])
            if not left:
                return [found[name] for name in ids]
    raise DataError(f"{plain.name}: has no image {min(left)}; name the dataset that was encrypted")
