"""lpe.show: which images are drawn, under which names, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.jobs.show import Column, Grid, show
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms import ciphers
from lpe.transforms.errors import DataError, UsageError
from tests.pipeline.running import encrypt

CELL, GAP, HEAD = 96, 6, 27


def cells(png, rows: int, columns: int) -> np.ndarray:
    """The images of a grid, uint8 [rows, columns, 32, 32, 3]: every third pixel of each cell."""
    grid = np.asarray(Image.open(png))
    left, top = grid.shape[1] - columns * (CELL + GAP), grid.shape[0] - rows * (CELL + GAP)
    grid = grid[top:, left:].reshape(rows, CELL + GAP, columns, CELL + GAP, 3).swapaxes(1, 2)
    return grid[:, :, 1:CELL:3, 1:CELL:3]


def test_all_schemes(tmp_path):
    grid = show(str(tmp_path / "f.png"), read=ReadSpec("synthetic:60"), ciphers=ciphers.names())
    assert len({column.class_name for column in grid.columns}) == 10
    # `plain` is the first row already.
    assert Image.open(tmp_path / "f.png").height == HEAD + (CELL + GAP) * len(ciphers.names())
    assert list(grid.seen) == [name for name in ciphers.names() if name != "plain"]
    assert grid.seen["lpe-50"].visible
    assert grid.to_json()["seen"]["ele"]["seen"] == "nothing"
    assert grid.properties()["seen in ele"].startswith("nothing (correlation 0.")


@pytest.mark.parametrize("options", [(), ("--seal",), ("--hide-labels",)])
def test_a_decrypted_dataset_shows_what_the_plain_one_does(lpe, keystore, plain, tmp_path, options):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home, *options)
    expected = show(str(tmp_path / "plain.png"), dataset=str(plain), count=5)
    class_names = open_dataset(str(plain)).class_names
    # Images are drawn a class each, and hidden classes have another order.
    images = dict(zip(expected.columns, cells(tmp_path / "plain.png", 1, 5)[0], strict=True))
    grid = show(str(tmp_path / "grid.png"), dataset=str(home), keystore=keystore, count=5)
    drawn = cells(tmp_path / "grid.png", 2, 5)
    for column, image, ciphertext in zip(grid.columns, *drawn, strict=True):
        assert column.class_name in class_names
        if column in images:
            assert np.array_equal(image, images[column])
        assert not np.array_equal(image, ciphertext)
    assert set(grid.columns) & set(images)


def test_plain_images_can_come_from_the_plain_dataset(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    with_key, without = tmp_path / "a.png", tmp_path / "b.png"
    show(str(with_key), dataset=str(home), keystore=keystore, count=4)
    show(str(without), dataset=str(home), against=str(plain), count=4)
    assert with_key.read_bytes() == without.read_bytes()
    other = tmp_path / "other" / "shapes"
    assert lpe("ingest", "--source", "synthetic:10", "--output", other).code == 0
    with pytest.raises(DataError, match=r"has no image .*; name the dataset that was encrypted"):
        show(str(without), dataset=str(home), against=str(other), split="train", count=40)


def test_what_is_refused(lpe, keystore, plain, tmp_path):
    png = str(tmp_path / "grid.png")
    with pytest.raises(UsageError, match="name either a dataset or a --source"):
        show(png)
    with pytest.raises(UsageError, match="name either a dataset or a --source"):
        show(png, dataset=str(plain), read=ReadSpec("synthetic:60"))
    with pytest.raises(UsageError, match=r"a name that ends in \.png"):
        show(str(tmp_path / "grid.jpg"), dataset=str(plain))
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home, "--seal")
    with pytest.raises(DataError, match="is sealed"):
        show(png, dataset=str(home))
    with pytest.raises(DataError, match="this dataset is encrypted already; show it without --ciphers"):
        show(png, read=ReadSpec(f"dataset:{home}"), ciphers=["le"])


def test_a_grid_in_json():
    grid = Grid("a.png", (Column("test-0000001", "cat"),))
    assert grid.to_json() == {
        "output": "a.png",
        "images": [{"id": "test-0000001", "class": "cat"}],
        "seen": {},
    }
