"""The layout that a writer of fixed-size images gives all its records."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from lpe.pipeline.records import example_proto
from lpe.pipeline.records.example_proto import Span

if TYPE_CHECKING:
    from lpe.pipeline.records.batches import RecordFormat


@dataclasses.dataclass(frozen=True)
class PlainLayout:
    """Where the fields of a serialised Example are, and with them those of all that differ in their values alone.

    Attributes:
      size: bytes of the Example.
      image: the image's place; it has the bytes that its shape asks for.
      label: the label's place.
      id: the id's place; None where records have none.
    """

    size: int
    image: Span
    label: Span
    id: Span | None

    def constant(self) -> list[tuple[int, int]]:
        """The places, from and to, between the values: tags, lengths, keys, other features."""
        values = [span for span in (self.image, self.label, self.id) if span is not None]
        edges = sorted([(0, 0), *((span.start, span.stop) for span in values), (self.size, self.size)])
        return [(before[1], after[0]) for before, after in itertools.pairwise(edges)]


def plain_layout(data: bytes, fmt: RecordFormat) -> PlainLayout | None:
    """The layout of a serialised Example, or None where it is no plain one of a raw image."""
    if fmt.encoding != "raw" or fmt.image_shape is None:
        return None
    spans = example_proto.value_spans(data)
    if spans is None:
        return None
    wanted = {fmt.image_key: "bytes", fmt.label_key: "int64"}
    if fmt.id_key is not None:
        wanted[fmt.id_key] = "bytes"
    if any(key not in spans or spans[key].kind != kind for key, kind in wanted.items()):
        return None
    image = spans[fmt.image_key]
    if image.stop - image.start != math.prod(fmt.image_shape):
        return None
    image_id = spans[fmt.id_key] if fmt.id_key is not None else None
    return PlainLayout(len(data), image, spans[fmt.label_key], image_id)


def varints(digits: np.ndarray) -> np.ndarray | None:
    """The values (int64 [N]) of varints of one length (uint8 [N, S]); None if one ends elsewhere."""
    if (digits[:, :-1] < 0x80).any() or (digits[:, -1] >= 0x80).any():
        return None
    values = np.zeros(len(digits), np.uint64)
    for place in range(digits.shape[1]):
        values |= (digits[:, place].astype(np.uint64) & np.uint64(0x7F)) << np.uint64(7 * place)
    return values.view(np.int64)
