"""show: a picture of what encryption does; one row a scheme, one column an image (the paper's Fig. 1)."""

from __future__ import annotations

import dataclasses
import html
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset, open_dataset
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.batch_transforms import Decrypt
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.reduced_reader import ReductionForShow, with_reduced_shape
from lpe.pipeline.encryption.reduction import given_chain
from lpe.pipeline.html.page import png_uri
from lpe.pipeline.jobs import grid
from lpe.pipeline.jobs.grid import Row
from lpe.pipeline.sources.plan import Plan, ReadSpec, open_plan, plan_dataset
from lpe.pipeline.sources.samples import examples, one_of_each_class
from lpe.transforms import ciphers
from lpe.transforms.batch import ImageBatch
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.image_shape import image_shape_of
from lpe.transforms.tables import properties_html


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the picture: an image's id and the name of its class."""

    image_id: str
    class_name: str

    def to_json(self) -> dict[str, str]:
        """One entry of `images`."""
        return {"id": self.image_id, "class": self.class_name}


@dataclasses.dataclass(frozen=True)
class Sample:
    """Images that are to be shown.

    Attributes:
      rows: the same images, plain or under a scheme.
      columns: from left to right.
    """

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]

    def draw(self) -> Image.Image:
        """All of them as one picture."""
        return grid.draw(self.rows, [column.class_name for column in self.columns])


@dataclasses.dataclass(frozen=True)
class Grid:
    """A picture that was written.

    Attributes:
      output: its path.
      columns: from left to right.
    """

    output: str
    columns: tuple[Column, ...]

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        return {"picture": self.output, "images": str(len(self.columns))}

    def _repr_html_(self) -> str:
        """The picture, as long as it is where it was written."""
        try:
            png = storage.read_bytes(self.output)
        except OSError:
            return properties_html("show", self.properties())
        alt = html.escape(", ".join(column.class_name for column in self.columns))
        return f'<img src="{png_uri(png)}" alt="{alt}">'

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {"output": self.output, "images": [column.to_json() for column in self.columns]}


def show(
    output: str,
    *,
    dataset: str | None = None,
    read: ReadSpec | None = None,
    ciphers: Sequence[str] = (),
    keystore: str | None = None,
    against: str | None = None,
    split: str | None = None,
    count: int = 10,
    reduction: str = "",
) -> Grid:
    """Draws images of a dataset, or of a source under several schemes, as a PNG.

    Args:
      output: the path of the PNG.
      dataset: a dataset's home or one of its versions; None where `read` is given.
      read: plain images; None where `dataset` is given.
      ciphers: with `read`: the schemes, each under a key made for this picture and forgotten.
      keystore: with an encrypted dataset: where its key is, to draw the plain images too.
      against: with an encrypted dataset: the plain dataset to take the plain images from.
      split: the split; None for `test`, or else the first one.
      count: how many images: one of each class first.
      reduction: with `read`: what is done to the images before, see `CipherChoice`; empty for nothing.

    Raises:
      UsageError: both or neither of `dataset` and `read`, a reduction of a dataset or one that the images do not admit,
        or an output that is no PNG.
      DataError: the images are missing or damaged, sealed and there is no key store, or encrypted where they must be
        plain.
      KeyStoreError: the key cannot be had.
      CipherError: an unknown scheme, or one that does not admit the images' shape.
    """
    if (dataset is None) == (read is None):
        raise UsageError("name either a dataset or a --source")
    if dataset is not None and reduction:
        raise UsageError("--reduce goes with --source; a dataset's images were reduced when it was encrypted")
    if dataset is not None:
        sample = sample_dataset(open_dataset(dataset), keystore, against, split, count)
    else:
        assert read is not None
        sample = sample_schemes(read, ciphers, split, count, reduction)
    save(sample.draw(), output)
    return Grid(output, sample.columns)


def sample_dataset(
    data: Dataset, keystore: str | None, against: str | None, split: str | None, count: int
) -> Sample:
    """Images of a dataset; plain, and reduced if they were, above encrypted where they can be had. See `show`."""
    if keystore is None:
        data.check_open()
    batches = one_of_each_class(plan_dataset(data), split, count)
    if data.encryption is None:
        return _sample([Row("plain", _images(batches))], batches, data.class_names)
    encryption = Encryption.from_json(data.encryption, data.directory)
    plain = []
    if against is not None and (keystore is None or data.reduction is not None):
        plain_data = open_dataset(against)
        plain_data.check_open()
        ids = [batch.ids[0] for batch in batches]
        plain.append(Row("plain", _images_of_ids(plan_dataset(plain_data), ids, split)))
    if keystore is not None:
        sample = _decrypted(data, encryption, keystore, batches)
        return dataclasses.replace(sample, rows=(*plain, *sample.rows))
    return _sample([*plain, Row(encryption.spec.name, _images(batches))], batches, data.class_names)


def _decrypted(data: Dataset, encryption: Encryption, keystore: str, batches: list[ImageBatch]) -> Sample:
    """Images and their ciphertexts, which are unsealed first, under their true class names."""
    key = open_dataset_key(data, encryption, keystore)
    if encryption.seal is not None:
        data_key = key.data_key(encryption.spec.salt)
        batches = [data_key.unseal(batch, encryption.seal.image_shape) for batch in batches]
        encryption = dataclasses.replace(encryption, seal=None)
    decrypt = Decrypt(keystore, encryption, len(data.class_names)).open()
    plain = [decrypt(batch) for batch in batches]
    rows = [Row(data.reduction or "plain", _images(plain)), Row(encryption.spec.name, _images(batches))]
    return _sample(rows, plain, encryption.class_names(key, data.class_names))


def sample_schemes(
    read: ReadSpec, names: Sequence[str], split: str | None, count: int, reduction: str = ""
) -> Sample:
    """Images of a source, plain, reduced if they are to be, and under each scheme. See `show`."""
    with open_plan(read) as plan:
        plan.require_plain("show it without --ciphers")
        batches = one_of_each_class(plan, split, count)
        class_names = plan.class_names
        chain = given_chain(reduction)
        with_reduced_shape(plan, chain)
    rows = [Row("plain", _images(batches))]
    if chain:
        reduce = ReductionForShow(chain).open()
        batches = [batch.replace_images(reduce(batch.images)) for batch in batches]
        rows.append(Row(str(chain), _images(batches)))
    for name in names:
        if name != "plain":
            secret = secrets.token_bytes(SECRET_BYTES)
            rows.append(Row(name, [_encrypted(name, secret, batch) for batch in batches]))
    return _sample(rows, batches, class_names)


def save(picture: Image.Image, path: str) -> None:
    """Writes the picture as PNG. Raises UsageError for another ending."""
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"{path}: the picture is a PNG; give --output a name that ends in .png")
    with storage.open_atomic(path) as file:
        picture.save(file, "png", optimize=True)


def _sample(rows: list[Row], batches: list[ImageBatch], class_names: Sequence[str]) -> Sample:
    columns = tuple(Column(batch.ids[0], class_names[int(batch.labels[0])]) for batch in batches)
    return Sample(tuple(rows), columns)


def _images(batches: list[ImageBatch]) -> list[np.ndarray]:
    """The image of each batch of one, uint8 [H, W, C]."""
    return [batch.images[0] for batch in batches]


def _encrypted(name: str, secret: bytes, batch: ImageBatch) -> np.ndarray:
    """The ciphertext of a batch of one, uint8 [H, W, C]."""
    cipher = ciphers.create(name, secret=secret, image_shape=image_shape_of(batch.images))
    return np.asarray(cipher.encrypt(batch.images)[0])


def _images_of_ids(plan: Plan, ids: list[str], split: str | None) -> list[np.ndarray]:
    """The images with these ids, in this order. Raises DataError if one is not there."""
    missing = set(ids)
    images: dict[str, np.ndarray] = {}
    for name in [split] if split else plan.splits:
        for example in examples(plan, name):
            if example.ids[0] in missing:
                images[example.ids[0]] = example.images[0]
                missing.remove(example.ids[0])
            if not missing:
                return [images[image_id] for image_id in ids]
    raise DataError(f"{plan.name}: has no image {min(missing)}; name the dataset that was encrypted")
