"""The places of images, labels and ids in a whole TFRecord file, for reading any of its examples by number."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lpe.pipeline.records import tfrecord
from lpe.pipeline.records.batches import RecordFormat, numbered, to_text
from lpe.pipeline.records.plain_layout import PlainLayout, plain_layout, varints
from lpe.transforms.errors import DataError


@dataclasses.dataclass(frozen=True)
class Index:
    """The places of the fields of a file's examples, each int64 [N].

    Attributes:
      images: the first byte of each image.
      labels: the labels themselves.
      ids: the first byte of each id; None where records have none.
      id_sizes: bytes of each id.
    """

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray | None
    id_sizes: np.ndarray

    def __len__(self) -> int:
        """N, the number of examples."""
        return len(self.images)

    def id_texts(self, data: np.ndarray, rows: np.ndarray, where: str) -> list[str]:
        """The ids of some examples.

        Args:
          data: the bytes of the file, uint8 [size].
          rows: their numbers, int64 [M].
          where: the file's name; its last component is the prefix of ids where records have none.

        Raises:
          DataError: an id is no text.
        """
        if self.ids is None:
            return [numbered(where, row, 1)[0] for row in rows.tolist()]
        places, sizes = self.ids[rows], self.id_sizes[rows]
        if len(rows) and (sizes == sizes[0]).all():
            texts = to_text(_columns(data, places, 0, int(sizes[0])))
            if texts is not None:
                return texts
        try:
            return [
                data[at : at + size].tobytes().decode()
                for at, size in zip(places.tolist(), sizes.tolist(), strict=True)
            ]
        except UnicodeDecodeError:
            raise DataError(f"{where}: an id is not UTF-8 text; write the dataset again") from None


def index(data: np.ndarray, fmt: RecordFormat) -> Index | None:
    """The index of a file of raw images, or None where `decode` is needed to read it.

    The places follow by arithmetic wherever neighbouring records have one length; every record's header and everything
    between its values is compared. Checksums are not.

    Args:
      data: the bytes of the file, uint8 [size].
      fmt: how an example is laid out.

    Returns:
      None for encoded images, compressed or damaged files, and records that are legal but not as writers make them.
    """
    runs = _runs(data) if fmt.encoding == "raw" else None
    if not runs:
        return None
    starts = [start + stride * np.arange(count) for start, stride, count in runs]
    numbers = np.split(np.arange(sum(map(len, starts))), np.cumsum([len(part) for part in starts])[:-1])
    by_stride: dict[int, list[int]] = {}
    for run, (_, stride, _) in enumerate(runs):
        by_stride.setdefault(stride, []).append(run)
    total = len(numbers[-1]) + int(numbers[-1][0])
    images, labels, ids, id_sizes = (np.empty(total, np.int64) for _ in range(4))
    for stride, chosen in by_stride.items():
        where = np.concatenate([starts[run] for run in chosen]) + tfrecord.HEADER
        which = np.concatenate([numbers[run] for run in chosen])
        size = stride - tfrecord.HEADER - tfrecord.FOOTER
        layout = plain_layout(data[where[0] : where[0] + size].tobytes(), fmt)
        if layout is None or not _alike(data, where, layout):
            return None
        values = varints(_columns(data, where, layout.label.start, layout.label.stop))
        if values is None:
            return None
        images[which], labels[which] = where + layout.image.start, values
        if layout.id is not None:
            ids[which], id_sizes[which] = where + layout.id.start, layout.id.stop - layout.id.start
    return Index(images, labels, ids if fmt.id_key is not None else None, id_sizes)


def _runs(data: np.ndarray) -> list[tuple[int, int, int]] | None:
    """Start, stride and number of the records of each run of one length; None where the framing is not sound."""
    runs = []
    start = 0
    while start < len(data):
        header = data[start : start + tfrecord.HEADER].tobytes()
        length = int.from_bytes(header[:8], "little")
        if header != tfrecord.header(length):
            return None
        stride = length + tfrecord.HEADER + tfrecord.FOOTER
        most = (len(data) - start) // stride
        if not most:
            return None
        count = tfrecord.alike(data[start : start + most * stride].reshape(most, stride))
        runs.append((start, stride, count))
        start += count * stride
    return runs


def _alike(data: np.ndarray, where: np.ndarray, layout: PlainLayout) -> bool:
    """Whether Examples of one length, at some places, differ in their values alone."""
    for start, stop in layout.constant():
        columns = _columns(data, where, start, stop)
        if not (columns == columns[0]).all():
            return False
    return True


def _columns(data: np.ndarray, where: np.ndarray, start: int, stop: int) -> np.ndarray:
    """The bytes from `start` to `stop` after each place, uint8 [N, stop - start]."""
    if start == stop:
        return np.empty((len(where), 0), np.uint8)
    columns: np.ndarray = sliding_window_view(data, stop - start)[where + start]
    return columns
