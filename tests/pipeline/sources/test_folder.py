"""folder:PATH — a class per directory, in a directory or an archive."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.folder import FolderSource
from lpe.pipeline.sources.imagefile import decode_image
from lpe.pipeline.sources.synthetic import SyntheticSource
from lpe.transforms.errors import DataError
from tests.pipeline.sources import images
from tests.pipeline.sources.reading import everything, failing

SAME = ReadOptions()


def tree(splits: tuple[str, ...] = ("train", "test"), wrap: str = "", count: int = 12) -> dict[str, bytes]:
    """PNG files of three classes; file i of a split has pixels(i)."""
    return {
        f"{wrap}{split + '/' if split else ''}{'abc'[i % 3]}/{i:03d}.png": images.encoded(images.pixels(i))
        for split in splits
        for i in range(count)
    }


@pytest.mark.parametrize("form", ["folder", "tar", "tar.gz", "tgz", "zip"])
@pytest.mark.parametrize("wrap", ["", "my-images/", "a/b/"])
def test_splits_classes_and_pixels(tmp_path, form, wrap):
    files = {
        **tree(wrap=wrap),
        f"{wrap}README.md": b"hello",
        f"{wrap}train/.DS_Store": b"x",
        f"{wrap}.git/x.png": b"x",
    }
    path = (
        images.write(tmp_path / "d", files)
        if form == "folder"
        else images.pack(files, tmp_path / f"d.{form}")
    )
    with FolderSource(str(path), SAME) as source:
        assert source.info.class_names == ("a", "b", "c")
        assert source.info.image_shape == (8, 8, 3)
        assert dict(source.info.splits) == {"train": 12, "test": 12}
        got = everything(source, "train")
        for name, image, label in zip(got.names, got.images, got.labels, strict=True):
            number = int(Path(name).stem)
            assert np.array_equal(image, images.pixels(number))
            assert label == number % 3
            assert name.startswith(f"{wrap}train/")


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("",), {"train": 12}),
        (("Training", "VAL", "testing"), {"train": 12, "validation": 12, "test": 12}),
        (("train",), {"train": 12}),
    ],
)
def test_split_directories_and_their_other_names(tmp_path, splits, expected):
    with FolderSource(str(images.write(tmp_path, tree(splits))), SAME) as source:
        assert dict(source.info.splits) == expected


def test_classes_are_mixed_in_an_order_that_depends_on_nothing_but_the_names(tmp_path):
    files = tree(("train",), count=60)
    one = FolderSource(str(images.write(tmp_path / "one", files)), SAME)
    two = FolderSource(str(images.write(tmp_path / "two", dict(reversed(files.items())))), SAME)
    assert everything(one, "train").names == everything(two, "train").names
    assert one.digest() == two.digest()
    labels = everything(one, "train").labels
    # Sorted by class there would be 2 changes.
    assert (labels[1:] != labels[:-1]).sum() > 20


def test_slices_read_anywhere_and_together_are_the_whole(tmp_path):
    with FolderSource(str(images.pack(tree(), tmp_path / "d.tar.gz")), SAME) as source:
        whole = everything(source, "train")
        for positions in (np.arange(5), np.arange(5, 12), np.array([1, 4, 11])):
            part = pickle.loads(pickle.dumps(source.slice("train", positions)))
            assert len(part) == len(positions)
            (batch,) = part.batches(100, failing)
            assert np.array_equal(batch.images, whole.images[positions])


@pytest.mark.parametrize("form", ["folder", "tar", "tar.gz", "zip"])
@pytest.mark.parametrize("digest_first", [False, True])
def test_the_digest_of_each_file_in_the_order_of_positions(tmp_path, form, digest_first):
    path = (
        images.write(tmp_path / "d", tree())
        if form == "folder"
        else images.pack(tree(), tmp_path / f"d.{form}")
    )
    with FolderSource(str(path), SAME) as source:
        if digest_first:
            source.digest()
        source.arrange(bytes(32))
        for split in source.info.splits:
            (batch,) = source.slice(split, np.arange(12)).batches(100, failing)
            assert [row.tobytes() for row in source.content_digests(split)] == batch.digests
    assert SyntheticSource(100).content_digests("train") is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: f.write_text("notes"), "it is no image"),
        (lambda f: f.write_bytes(f.read_bytes()[:60]), "cannot be decoded"),
        (lambda f: f.write_bytes(b""), "it is no image"),
        (
            lambda f: f.write_bytes(images.encoded(images.pixels(0, (9, 8, 3)))),
            "it is 9x8, most are 8x8",
        ),
        (lambda f: f.rename(f.with_suffix(".txt")), "not an image file"),
        (lambda f: Image.fromarray(images.pixels(0, (8, 8)).astype(np.uint16)).save(f), "8 bits"),
    ],
)
def test_a_bad_image_is_named_or_skipped(tmp_path, spoil, reason):
    root = images.write(tmp_path, tree())
    spoil(root / "train" / "a" / "003.png")
    source = FolderSource(str(root), SAME)
    with pytest.raises(DataError, match=rf"train/a/003\.\w+: .*{reason}.*--on-bad-record skip"):
        everything(source, "train")
    notes = []
    got = list(source.slice("train", np.arange(12)).batches(5, notes.append))
    assert len(notes) == 1
    assert sum(len(batch.names) for batch in got) == 11


def test_sizes_can_differ_or_be_made_alike(tmp_path):
    files = {f"a/{i}.png": images.encoded(images.pixels(i, (8 + i, 10, 3))) for i in range(4)}
    root = str(images.write(tmp_path, files))
    any_size = FolderSource(root, ReadOptions("any"))
    assert any_size.info.image_shape is None
    batches = list(any_size.slice("train", np.arange(4)).batches(10, failing))
    assert {batch.images.shape[1:] for batch in batches} == {(8 + i, 10, 3) for i in range(4)}
    fitted = FolderSource(root, ReadOptions((6, 5), grey=True))
    assert fitted.info.image_shape == (6, 5, 1)
    assert everything(fitted, "train").images.shape == (4, 6, 5, 1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK"])
@pytest.mark.parametrize("grey", [False, True])
def test_any_8_bit_image_becomes_rgb_or_grey(tmp_path, mode, grey):
    file = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.fromarray(images.pixels(0)).convert(mode).save(file)
    assert decode_image(file.read_bytes(), ReadOptions(grey=grey)).shape == (8, 8, 1 if grey else 3)


def test_jpeg_equals_what_pillow_decodes(tmp_path):
    data = images.encoded(images.pixels(3), "jpeg")
    root = images.write(tmp_path, {"a/x.JPG": data})
    expected = np.asarray(Image.open(root / "a" / "x.JPG"))
    assert np.array_equal(everything(FolderSource(str(root), SAME), "train").images[0], expected)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no images there"),
        ({"a/notes.txt": b"x", "README": b"x"}, "no images there"),
        ({"x.png": b"x", "a/y.png": b"y"}, "x.png: this image is in no class directory"),
        ({"train/x.png": b"x", "train/a/y.png": b"y"}, "train/x.png: this image is in no class directory"),
        ({"a/x.png": b"x", "b/y.png": b"y"}, "none of the first files is a readable image"),
    ],
)
def test_folders_that_are_no_dataset(tmp_path, files, message):
    (tmp_path / "d").mkdir()
    with pytest.raises(DataError, match=message):
        FolderSource(str(images.write(tmp_path / "d", files)), SAME)


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_cut_off_archive_is_named(tmp_path, ending):
    archive = images.pack(tree(count=100), tmp_path / f"d.{ending}")
    data = archive.read_bytes()
    for keep in (10, len(data) // 3, len(data) // 2, len(data) - 10_300):
        archive.write_bytes(data[:keep])
        with pytest.raises(DataError, match=rf"d\.{ending}: damaged or cut off.*get it again"):
            FolderSource(str(archive), SAME)


def test_links_are_not_followed(tmp_path):
    root = images.write(tmp_path / "d", tree(("",)))
    (tmp_path / "secret.png").write_bytes(images.encoded(images.pixels(99)))
    (root / "a" / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "b" / "loop").symlink_to(root)
    assert FolderSource(str(root), SAME).info.splits["train"] == 12


def test_what_lies_beside_a_wrapping_directory_is_none_of_the_dataset(tmp_path):
    for wrap, count in (("w/", 24), ("w/v/", 24)):
        beside = {"README.txt": b"x", "docs/a/b.txt": b"x", "w/LICENSE": b"x"}
        root = images.write(tmp_path / str(len(wrap)), {**tree(wrap=wrap), **beside})
        with FolderSource(str(root), SAME) as source:
            assert source.info.class_names == ("a", "b", "c")
            assert sum(source.info.splits.values()) == count


def test_the_size_is_that_of_most_images(tmp_path):
    files = {f"a/{i}.png": images.encoded(images.pixels(i, (8 + (i == 3), 8, 3))) for i in range(9)}
    files |= {f"a/{i}.txt": b"x" for i in range(200)}
    source = FolderSource(str(images.write(tmp_path, files)), SAME)
    assert source.info.image_shape == (8, 8, 3)
    notes = []
    list(source.slice("train", np.arange(209)).batches(100, notes.append))
    assert len(notes) == 201
    (size,) = [note.reason for note in notes if "not an image" not in note.reason]
    assert "it is 9x8, most are 8x8" in size
    assert "--image-size HEIGHTxWIDTH" in size
    assert "--image-size any" in size


def test_a_batch_of_large_images_fits_into_memory(tmp_path):
    data = images.encoded(np.zeros((2048, 2048, 3), np.uint8))
    source = FolderSource(str(images.write(tmp_path, {f"a/{i}.png": data for i in range(8)})), SAME)
    sizes = [len(batch.names) for batch in source.slice("train", np.arange(8)).batches(1024, failing)]
    assert sizes == [1] * 8


def test_a_decompression_bomb_is_a_bad_record(tmp_path, monkeypatch, recwarn):
    root = images.write(tmp_path, tree(("",)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # warns above it, refuses above twice as many
    assert len(everything(FolderSource(str(root), SAME), "train").names) == 12
    (root / "a" / "000.png").write_bytes(images.encoded(images.pixels(0, (9, 9, 3))))
    with pytest.raises(DataError, match=r"a/000\.png: .*decompression bomb"):
        everything(FolderSource(str(root), SAME), "train")
    assert not recwarn.list


def test_names_for_the_dataset(tmp_path):
    for folder, expected in (
        ("cats-and-dogs.v2", "cats_and_dogs"),
        ("2024", "images_2024"),
        ("äö", "images"),
    ):
        assert FolderSource(str(images.write(tmp_path / folder, tree(("",)))), SAME).info.name == expected


@pytest.mark.slow
def test_the_real_archive(shared: Path):
    with FolderSource(str(shared / "cifar10-jpeg.tar.gz"), SAME) as source:
        assert dict(source.info.splits) == {"train": 50_000, "test": 10_000}
        assert len(source.info.class_names) == 10
        labels = everything(source, "test").labels
        assert np.bincount(labels).tolist() == [1000] * 10
