"""tfds:NAME — through TFDS's own reader, and back: TFDS reads what we write."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.tfds import TfdsSource
from lpe.transforms.errors import DataError
from tests.pipeline.running import encrypting
from tests.pipeline.sources import images
from tests.pipeline.sources.reading import everything, failing

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> str:
    """Three datasets that TFDS itself wrote: `shapes`, `many` (sizes differ), `texts` (no image)."""
    root = tmp_path_factory.mktemp("tfds")

    def store(name: str, features: dict, examples: dict[str, list[dict]]) -> None:
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.2.3",
            data_dir=root,
            features=tfds.features.FeaturesDict(features),
            split_datasets={split: list(enumerate(part)) for split, part in examples.items()},
        )

    def some(count: int, shape=lambda i: (8, 9, 3)) -> list[dict]:
        return [{"picture": images.pixels(i, shape(i)), "kind": i % 3, "weight": i} for i in range(count)]

    kind = tfds.features.ClassLabel(names=["x", "y", "z"])
    fields = {"kind": kind, "weight": np.int64}
    store(
        "shapes",
        {"picture": tfds.features.Image(shape=(8, 9, 3)), **fields},
        {"train": some(20), "test": some(5)},
    )
    many = {"picture": tfds.features.Image(shape=(None, None, 3)), **fields}
    store("many", many, {"train": some(6, lambda i: (8 + i, 9, 3))})
    store("mixed", many, {"train": some(6, lambda i: (12 if i == 2 else 8, 9, 3))})
    none = some(4)
    none[2]["kind"] = -1
    store("unlabelled", {"picture": tfds.features.Image(shape=(8, 9, 3)), **fields}, {"train": none})
    store("texts", {"words": tfds.features.Text()}, {"train": [{"words": "a"}]})
    return str(root)


def test_images_labels_order_and_names(data_dir):
    with TfdsSource("shapes", ReadOptions(), data_dir) as source:
        assert source.info.class_names == ("x", "y", "z")
        assert source.info.image_shape == (8, 9, 3)
        assert dict(source.info.splits) == {"train": 20, "test": 5}
        got = everything(source, "train")
        direct = list(
            tfds.as_numpy(tfds.load("shapes", data_dir=data_dir, split="train", shuffle_files=False))
        )
        assert np.array_equal(got.images, np.stack([example["picture"] for example in direct]))
        assert got.labels.tolist() == [int(example["kind"]) for example in direct]
        assert len(set(got.names)) == 20
        positions = np.array([1, 2, 7, 19])
        part = pickle.loads(pickle.dumps(source.slice("train", positions)))
        (batch,) = part.batches(10, failing)
        assert np.array_equal(batch.images, got.images[positions])
        assert batch.offsets.tolist() == [0, 1, 2, 3]


def test_sizes_that_differ(data_dir):
    bad = []
    source = TfdsSource("many", ReadOptions("any"), data_dir)
    assert source.info.image_shape is None
    shapes = {batch.images.shape[1:] for batch in source.slice("train", np.arange(6)).batches(10, bad.append)}
    assert shapes == {(8 + i, 9, 3) for i in range(6)}
    fitted = TfdsSource("many", ReadOptions((7, 6), grey=True), data_dir)
    assert everything(fitted, "train").images.shape == (6, 7, 6, 1)
    assert not bad


def test_one_size_is_that_of_most_images(data_dir):
    """TFDS declares no size: as in folders, most of the first images decide."""
    source = TfdsSource("mixed", ReadOptions(), data_dir)
    assert source.info.image_shape == (8, 9, 3)
    notes = []
    batches = list(source.slice("train", np.arange(6)).batches(10, notes.append))
    assert sum(len(batch.names) for batch in batches) == 5
    assert "it is 12x9, most are 8x9" in notes[0].reason


def test_an_image_without_a_label_is_a_bad_record(data_dir):
    source = TfdsSource("unlabelled", ReadOptions(), data_dir)
    notes = []
    (batch,) = source.slice("train", np.arange(4)).batches(10, notes.append)
    assert len(batch.labels) == 3
    assert [note.reason for note in notes] == ["label -1 for 3 classes"]


def test_a_damaged_file_is_no_traceback(data_dir, tmp_path):
    shutil.copytree(f"{data_dir}/shapes", tmp_path / "shapes")
    (file,) = tmp_path.glob("shapes/1.2.3/*train*")
    data = file.read_bytes()
    record = 16 + int.from_bytes(data[:8], "little")  # length, its checksum, bytes, their checksum
    for spoiled in (data[:-5], data[:record], data[:40] + b"xx" + data[42:], None):
        source = TfdsSource("shapes", ReadOptions(), str(tmp_path))
        if spoiled is None:
            file.unlink()
        else:
            file.write_bytes(spoiled)
        with pytest.raises(DataError, match=r"tfds:shapes: split train .*prepare the dataset again"):
            list(source.slice("train", np.arange(20)).batches(10, failing))


def test_the_digest_names_the_dataset(data_dir):
    shapes = TfdsSource("shapes", ReadOptions(), data_dir)
    assert shapes.digest() == TfdsSource("shapes", ReadOptions(), data_dir).digest()
    assert shapes.digest() != TfdsSource("many", ReadOptions("any"), data_dir).digest()


def test_the_job_reads_it_from_tfdss_own_folder(lpe, data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    made = lpe("ingest", "--source", "tfds:shapes", "--output", tmp_path / "plain" / "shapes", "--json")
    assert made.code == 0, made.err
    assert made.json["splits"]["train"]["examples"] == 20


def test_a_directory_that_tfds_wrote_is_a_dataset(lpe, keystore, data_dir, tmp_path):
    """dataset:DIR reads TFDS's PNG images without TFDS, and they survive encryption."""
    home = tmp_path / "enc" / "shapes"
    words = ("--keystore", keystore, "--json")
    made = lpe(
        "encrypt", "--source", f"dataset:{data_dir}/shapes", "--output", home, "--key", "patients", *words
    )
    assert made.code == 0, made.err
    assert (
        lpe("decrypt", "--source", f"dataset:{home}", "--output", tmp_path / "b" / "shapes", *words).code == 0
    )
    direct = tfds.as_numpy(tfds.load("shapes", data_dir=data_dir, split="train", shuffle_files=False))
    back = tfds.as_numpy(tfds.load("shapes", data_dir=tmp_path / "b", split="train", shuffle_files=False))
    pairs = list(zip(direct, back, strict=True))
    assert len(pairs) == 20
    assert all(
        np.array_equal(one["picture"], two["image"]) and one["kind"] == two["label"] for one, two in pairs
    )


@pytest.mark.parametrize("unfinished", [False, True])
def test_tfds_loads_what_we_encrypt(lpe, keystore, tmp_path, unfinished):
    """`tfds.load` and `builder_from_directory` need no code of ours; an unfinished version is not seen."""
    home = tmp_path / "enc" / "shapes"
    words = encrypting(keystore, "synthetic:100", home)
    assert lpe(*words).code == 0
    if unfinished:
        receipt = home / "_work" / "1.0.1" / "receipts" / "train-00000.json"
        receipt.parent.mkdir(parents=True)
        receipt.write_text("{}")
    builder = tfds.builder_from_directory(home / "1.0.0")
    assert builder.info.features["label"].names[0] == "disc"
    loaded = list(tfds.as_numpy(tfds.load("shapes", data_dir=home.parent, split="train")))
    assert len(loaded) == 100
    assert loaded[0]["image"].shape == (32, 32, 3)
    assert {example["id"] for example in loaded} == {f"train-{i:07d}".encode() for i in range(100)}


def test_a_dataset_without_image_and_label_is_refused(data_dir):
    with pytest.raises(DataError, match="needs a uint8 image"):
        TfdsSource("texts", ReadOptions(), data_dir)


def test_names_that_are_none(data_dir):
    with pytest.raises(DataError, match=r"tfds:no_such_thing: .*list_builders"):
        TfdsSource("no_such_thing", ReadOptions(), data_dir)


class FarAway(tfds.core.GeneratorBasedBuilder):
    """A dataset whose download fails; TFDS finds it by its name, `far_away`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"x": np.int64}))

    def _split_generators(self, dl_manager):
        raise ConnectionError("no route to the images")

    def _generate_examples(self):
        yield from ()


def test_a_dataset_that_cannot_be_had_says_what_to_do(tmp_path, monkeypatch):
    # TFDS would ask Google's storage whether it has the dataset prepared, and wait for the answer.
    monkeypatch.setattr(tfds.core.utils.gcs_utils, "_is_gcs_disabled", True)
    with pytest.raises(DataError, match=r"far_away: .*\(ConnectionError\).*TFDS_DATA_DIR"):
        TfdsSource("far_away", ReadOptions(), str(tmp_path))
