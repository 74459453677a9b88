"""A dataset's section of a page: what it is, some of its images, and how random they look."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence

import numpy as np

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.html.page import png_uri
from lpe.pipeline.jobs import grid, stats
from lpe.pipeline.jobs.show import Sample, sample_dataset

_MOST_CLASSES_NAMED = 40


@dataclasses.dataclass(frozen=True)
class Card:
    """An image, as it is drawn.

    Attributes:
      class_name: its class.
      image_id: its id.
      pictures: as `data:` URIs: plain above encrypted, where there are both.
    """

    class_name: str
    image_id: str
    pictures: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class DatasetSection:
    """What the page shows of a dataset.

    Attributes:
      title: name, version and cipher.
      properties: by name.
      notice: why no images are drawn; None if they are.
      rows: what a card's pictures are, from the top.
      cards: the images.
      headings: of the statistics.
      statistics: a row for each of `rows`, and one for random bytes.
    """

    title: str
    properties: Mapping[str, str]
    notice: str | None = None
    rows: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    headings: tuple[str, ...] = stats.HEADINGS
    statistics: tuple[list[str], ...] = ()


def dataset_section(
    data: Dataset, keystore: str | None, against: str | None, split: str | None, count: int
) -> DatasetSection:
    """Gathers what is shown of a dataset; the arguments and errors are those of `lpe.pipeline.jobs.show.show`."""
    described = describe(data, keystore)
    if data.sealed and keystore is None:
        return dataclasses.replace(described, notice="These images are sealed: pass --keystore to see them.")
    sample = sample_dataset(data, keystore, against, split, count)
    if not sample.columns:
        return dataclasses.replace(described, notice="This split has no images.")
    table = stats.of_images({row.title: row.images for row in sample.rows})
    return dataclasses.replace(
        described,
        rows=tuple(row.title for row in sample.rows),
        cards=tuple(_cards(sample)),
        statistics=tuple(row.row() for row in table),
    )


def describe(data: Dataset, keystore: str | None = None) -> DatasetSection:
    """Gathers what is known of a dataset without a look at its images.

    Raises:
      DataError: its encryption.json is damaged, or not what the owner of the key wrote.
      KeyStoreError: there is a key store, and the key cannot be had.
    """
    kind, names, hidden = "plain images", data.class_names, False
    if data.encryption is not None:
        encryption = Encryption.of(data, "")
        kind, hidden = f"encrypted with {encryption.spec.name}", encryption.hidden_class_names is not None
        if keystore is not None and hidden:
            key = open_dataset_key(data, encryption, keystore)
            names, hidden = encryption.class_names(key, names), False
    classes = "names hidden" if hidden else _listed(names)
    properties = {**data.properties(), "classes": f"{len(names):,}: {classes}"}
    return DatasetSection(f"{data.name} {data.version}, {kind}", properties)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_CLASSES_NAMED
    return ", ".join(names[:_MOST_CLASSES_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _cards(sample: Sample) -> list[Card]:
    return [
        Card(column.class_name, column.image_id, tuple(_picture(row.images[i]) for row in sample.rows))
        for i, column in enumerate(sample.columns)
    ]


def _picture(pixels: np.ndarray) -> str:
    out = io.BytesIO()
    grid.cell(pixels).save(out, "png", optimize=True)
    return png_uri(out.getvalue())
