"""tfds:NAME in each of TFDS's file formats: five of its own datasets, with its fake examples, and what is refused."""

from __future__ import annotations

import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.tfds import FORMATS, TfdsSource
from lpe.transforms.errors import DataError, UsageError
from tests.pipeline.sources import images
from tests.pipeline.sources.reading import Everything, everything, failing

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("tensorflow")

EXAMPLES = 70
NAMES = {  # the options that each needs
    "mnist": ("--validation-fraction", "0.25"),
    "cifar10": (),
    "cifar100": ("--label-key", "coarse_label"),
    "oxford_flowers102": ("--image-size", "8x9"),
    "imagenette/320px-v2": ("--image-size", "any"),
}


def store(root: Path, form: str, name: str, features, examples: list[dict], version="1.0.0", shards=None):
    """Writes a dataset as TFDS does, in one of its formats."""
    name, _, config = name.partition("/")
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=version,
        config=config or None,
        data_dir=root / form,
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": list(enumerate(examples))},
        file_format=form,
        download_config=tfds.download.DownloadConfig(num_shards=shards) if shards else None,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder per format, each with the datasets of `NAMES` and with `parts`, in three files."""
    root = tmp_path_factory.mktemp("tfds")
    for name in NAMES:
        with tfds.testing.mock_data(num_examples=EXAMPLES):
            builder = tfds.builder(name, data_dir=root / "none")
            fake = list(tfds.as_numpy(builder.as_dataset(split="train", shuffle_files=False)))
        for form in FORMATS:
            store(root, form, name, dict(builder.info.features), fake, str(builder.version))
    features = {
        "picture": tfds.features.Image(shape=(8, 9, 3)),
        "mask": tfds.features.Image(shape=(8, 9, 1)),
        "kind": tfds.features.ClassLabel(names=["x", "y", "z"]),
        "colour": tfds.features.ClassLabel(names=["red", "blue"]),
    }
    parts = [
        {
            "picture": images.pixels(i, (8, 9, 3)),
            "mask": images.pixels(i, (8, 9, 1)),
            "kind": i % 3,
            "colour": i % 2,
        }
        for i in range(250)
    ]
    for form in FORMATS:
        store(root, form, "parts", features, parts, shards=3)
    return root


CHOSEN = ReadOptions(image_key="picture", label_key="kind")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_dataset_comes_of_each_format(lpe, root, tmp_path, monkeypatch, name):
    digests = set()
    for form in FORMATS:
        monkeypatch.setenv("TFDS_DATA_DIR", str(root / form))
        home = tmp_path / form / "made"
        made = lpe("ingest", "--source", f"tfds:{name}", "--output", home, *NAMES[name], "--json")
        assert made.code == 0, made.err
        assert sum(split["examples"] for split in made.json["splits"].values()) == EXAMPLES
        digests.add(open_dataset(str(home)).digest())
    assert len(digests) == 1


def small_row_groups(root: Path, to: Path) -> None:
    """Copies `parts` as Parquet with eleven examples to a row group."""
    shutil.copytree(root / "parquet" / "parts", to / "parts")
    for path in to.glob("parts/1.0.0/*parquet*"):
        pq.write_table(pq.read_table(path), path, row_group_size=11)


@pytest.fixture(scope="module")
def expected(root) -> Everything:
    """All examples of `parts`, as TFDS reads them from TFRecord."""
    return everything(TfdsSource("parts", CHOSEN, str(root / "tfrecord")), "train")


@pytest.mark.parametrize("form", ["array_record", "parquet", "row groups"])
def test_slices_hold_each_example_once_and_in_order(root, expected, tmp_path, form):
    if form == "row groups":
        small_row_groups(root, tmp_path)
    source = TfdsSource("parts", CHOSEN, str(tmp_path if form == "row groups" else root / form))
    for part in (
        np.arange(7),
        np.arange(7, 100),
        np.arange(100, 250),
        np.arange(1, 250, 13),
        np.array([82, 84]),
    ):
        batches = list(pickle.loads(pickle.dumps(source.slice("train", part))).batches(9, failing))
        assert np.array_equal(np.concatenate([batch.images for batch in batches]), expected.images[part])
        assert np.concatenate([batch.labels for batch in batches]).tolist() == expected.labels[part].tolist()
        names = [name for batch in batches for name in batch.names]
        assert [re.sub(r"parquet|array_record", "tfrecord", name) for name in names] == [
            expected.names[position] for position in part
        ]


def test_names_carry_config_and_version(root):
    for name in ("parts", "parts:1.0.0", "parts:1.*.*"):
        assert TfdsSource(name, CHOSEN, str(root / "array_record")).info.splits == {"train": 250}
    with pytest.raises(DataError, match=r"tfds:parts:2.0.0: .*not found"):
        TfdsSource("parts:2.0.0", CHOSEN, str(root / "array_record"))


def test_a_dataset_in_another_format_says_how_to_read_it(root):
    with pytest.raises(
        DataError, match=rf"read it as tfds:mnist:3.0.1 with TFDS_DATA_DIR={root}/array_record$"
    ):
        open_dataset(str(root / "array_record" / "mnist"))
    version = tfds.builder("imagenette/320px-v2", data_dir=root / "none").version
    with pytest.raises(
        DataError, match=rf"tfds:imagenette/320px-v2:{version} with TFDS_DATA_DIR={root}/parquet$"
    ):
        open_dataset(str(root / "parquet" / "imagenette" / "320px-v2" / str(version)))


def test_a_key_is_asked_for_where_several_would_do(root):
    folder = str(root / "array_record")
    with pytest.raises(UsageError, match="tfds:parts: choose one of mask, picture with --image-key NAME"):
        TfdsSource("parts", ReadOptions(), folder)
    with pytest.raises(UsageError, match="tfds:parts: choose one of colour, kind with --label-key NAME"):
        TfdsSource("parts", ReadOptions(image_key="mask"), folder)
    with pytest.raises(UsageError, match="--image-key kind: tfds:parts has mask, picture to choose from"):
        TfdsSource("parts", ReadOptions(image_key="kind"), folder)
    with pytest.raises(UsageError, match="--label-key hue: tfds:parts has colour, kind to choose from"):
        TfdsSource("parts", ReadOptions(image_key="mask", label_key="hue"), folder)
    source = TfdsSource("parts", ReadOptions(image_key="mask", label_key="colour"), folder)
    assert (source.info.image_shape, source.info.class_names) == ((8, 9, 3), ("red", "blue"))


def test_keys_decide_what_is_written_and_are_of_no_use_elsewhere(lpe, root, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(root / "array_record"))
    words = (
        "ingest",
        "--source",
        "tfds:parts",
        "--image-key",
        "picture",
        "--output",
        tmp_path / "d" / "parts",
    )
    one, again, two = (lpe(*words, "--label-key", key, "--json") for key in ("kind", "kind", "colour"))
    assert [made.json["status"] for made in (one, again, two)] == ["ok", "skipped", "ok"]
    assert open_dataset(two.json["dataset"]).class_names == ("red", "blue")
    refused = lpe(
        "ingest", "--source", "synthetic:9", "--label-key", "kind", "--output", tmp_path / "d" / "x"
    )
    assert (refused.code, "go with parquet:, tfds:" in refused.err) == (2, True)


CLASS = tfds.features.ClassLabel(num_classes=2)
UNFIT = {
    "grey16": (
        {"image": tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16), "label": CLASS},
        {"image": np.zeros((4, 4, 1), np.uint16), "label": 1},
        r"it has image \(uint16 Image, 4x4x1\), label \(ClassLabel\)",
    ),
    "clips": (
        {"clip": tfds.features.Video(shape=(2, 4, 4, 3)), "label": CLASS},
        {"clip": np.zeros((2, 4, 4, 3), np.uint8), "label": 1},
        r"it has clip \(Video\), label \(ClassLabel\)",
    ),
    "unlabelled": (
        {"image": tfds.features.Image(shape=(4, 4, 1))},
        {"image": np.zeros((4, 4, 1), np.uint8)},
        r"needs a uint8 image of 1 or 3 channels and a class label",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_is_no_labelled_image_is_refused_in_one_line(lpe, tmp_path, monkeypatch, name):
    features, example, said = UNFIT[name]
    store(tmp_path, "array_record", name, features, [example])
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "array_record"))
    refused = lpe("ingest", "--source", f"tfds:{name}", "--output", tmp_path / "d" / "x")
    assert refused.code == 1
    assert re.search(said, refused.err.replace("\n", " "))


@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
@pytest.mark.parametrize("form", ["array_record", "parquet"])
def test_a_damaged_file_is_named_in_one_line(root, tmp_path, form, damage):
    shutil.copytree(root / form / "parts", tmp_path / "parts")
    source = TfdsSource("parts", CHOSEN, str(tmp_path))
    path = next(tmp_path.glob("parts/1.0.0/*-00001-of-*"))
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[5000:5500] = bytes(500)
        path.write_bytes(data)
    with pytest.raises(
        DataError, match=r"^tfds:parts: split train cannot be read \(.*prepare the dataset again.*$"
    ):
        list(source.slice("train", np.arange(60, 120)).batches(10, failing))


def test_examples_that_tfds_lost_are_missed(tmp_path):
    """TFDS 4.9.10 writes only some of more than a hundred examples to a Parquet file."""
    one = {"image": np.zeros((4, 4, 1), np.uint8), "label": 1}
    store(
        tmp_path,
        "parquet",
        "long",
        {"image": tfds.features.Image(shape=(4, 4, 1)), "label": CLASS},
        [one] * 150,
    )
    (path,) = tmp_path.glob("parquet/long/1.0.0/*parquet*")
    pq.write_table(pq.read_table(path)[:100], path)  # as it does, should it have learnt better
    source = TfdsSource("long", ReadOptions(), str(tmp_path / "parquet"))
    with pytest.raises(
        DataError, match=r"holds 100 of 150 examples\); prepare .* as tfrecord or array_record"
    ):
        list(source.slice("train", np.arange(3)).batches(10, failing))
