"""Images as they are stored: the files of a slice, not decoded."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from lpe.pipeline.records.bad_records import fail
from lpe.pipeline.sources import open_source
from lpe.pipeline.sources.base import EncodedImage, ReadOptions, Slice
from tests.pipeline.sources import images

FILES = {f"train/{'ab'[i % 2]}/{i}.png": images.encoded(images.pixels(i)) for i in range(6)}
ANY = ReadOptions(image_size="any")


@pytest.mark.parametrize("form", ["", ".tar", ".tar.gz", ".zip"])
def test_those_of_a_folder_are_its_files(tmp_path, form):
    files = {**FILES, "train/a/notes.txt": b"x", "train/b/no.png": b"no image"}
    path = images.pack(files, tmp_path / f"d{form}") if form else images.write(tmp_path / "d", files)
    bad = []
    with open_source(f"folder:{path}", ANY) as source:
        whole = source.slice("train", np.arange(8))
        found = list(whole.encoded(bad.append) or ())
        # What would not decode is for whoever decodes it.
        assert {image.name: image.data for image in found} == {
            name: data for name, data in files.items() if not name.endswith(".txt")
        }
        assert all(source.info.class_names[image.label] == image.name.split("/")[1] for image in found)
        assert [(record.where, record.reason) for record in bad] == [
            (f"{path}/train/a/notes.txt", "not an image file")
        ]
        offsets = [image.offset for image in found]
        assert offsets == sorted(set(offsets))
        assert len(offsets) == 7
        positions = np.array(offsets)[[1, 4]]
        part = list(source.slice("train", positions).encoded(fail("x")) or ())
        assert [image._replace(offset=int(positions[image.offset])) for image in part] == [
            found[1],
            found[4],
        ]


def test_those_of_parquet_files_are_cells_with_an_image_and_a_label(tmp_path):
    cells = [{"bytes": data, "path": None} for data in FILES.values()]
    cells[2] = None
    table = pa.table({"image": cells, "label": [0, 1, 0, None, 0, 1]})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    bad = []
    source = open_source(f"parquet:{tmp_path}/train.parquet", ANY)
    data = list(FILES.values())
    assert list(source.slice("train", np.arange(6)).encoded(bad.append) or ()) == [
        EncodedImage(i, f"train.parquet#{i}", data[i], i % 2) for i in (0, 1, 4, 5)
    ]
    assert [record.reason for record in bad] == ["it has no image", "it has no label"]


def test_arrays_have_none():
    part: Slice = open_source("synthetic:10", ANY).slice("train", np.arange(3))
    assert part.encoded(fail("x")) is None
