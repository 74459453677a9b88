"""Our Parquet read by Hugging Face's datasets, pandas, polars, DuckDB and Grain; our data made other formats.

Each reads it in a process of its own, without code of ours, as whoever has such a dataset would.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.cli.app import main
from lpe.pipeline.dataset import open_dataset
from tests.pipeline.running import contents

Examples = dict[str, tuple[str, int]]
_START = """
import hashlib, io, json, sys

directory = sys.argv[1]
read = {}

def take(name, image, label):
    assert name not in read
    read[name] = (hashlib.sha256(image).hexdigest(), int(label))
"""
_END = """
assert not any(name.partition(".")[0] == "lpe" for name in sys.modules)
print(json.dumps(read))
"""
READERS = {
    "datasets": """
import datasets
found = datasets.load_dataset(directory)
assert sorted(found) == ["test", "train"], found
names = [line.rstrip("\\n") for line in open(directory + "/label.labels.txt")]
for split in found.values():
    assert split.features["label"].names == names
    for example in split:
        take(example["id"], example["image"], example["label"])
named = datasets.load_dataset("parquet", data_files=directory + "/shapes-train-*.parquet")["train"]
assert named.features["label"].names == names and len(named) == 70
""",
    "pandas": """
import glob, pandas
for path in glob.glob(directory + "/shapes-*.parquet"):
    for row in pandas.read_parquet(path).itertuples():
        take(row.id, row.image, row.label)
""",
    "polars": """
import polars
for row in polars.read_parquet(directory + "/shapes-*.parquet").iter_rows(named=True):
    take(row["id"], row["image"], row["label"])
""",
    "duckdb": """
import duckdb
for row in duckdb.sql(f"SELECT id, image, label FROM '{directory}/shapes-*.parquet'").fetchall():
    take(*row)
""",
    "grain": """
import glob, grain
for path in glob.glob(directory + "/shapes-*.parquet"):
    for row in grain.experimental.ParquetIterDataset(path):
        take(row["id"].decode() if isinstance(row["id"], bytes) else str(row["id"]), row["image"], row["label"])
""",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images as TFRecord (`records`), as Parquet (`rows`), and of many sizes as Parquet (`sizes`)."""
    root = tmp_path_factory.mktemp("read")
    for name, kind in (("records", "tfrecord"), ("rows", "parquet")):
        words = ("ingest", "--source", "synthetic:70", "--output", f"{root}/{name}/shapes", "--format", kind)
        assert main(list(words)) == 0
    for i, size in enumerate([(4, 5), (7, 3), (6, 6)]):
        for label in ("cat", "dog"):
            path = root / "photos" / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((*size, 3), 40 * i, np.uint8)).save(path)
    words = ("--source", f"folder:{root}/photos", "--image-size", "any", "--format", "parquet")
    assert main(["ingest", *words, "--output", f"{root}/sizes/photos"]) == 0
    return root


def run(script: str, root: Path, *words: object) -> str:
    """What a script prints, which has no network."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(root / "hf")}
    process = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        env={**os.environ, **offline, "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout


@pytest.mark.parametrize("reader", READERS)
def test_others_read_it(written, reader):
    version = written / "rows" / "shapes" / "1.0.0"
    told = json.loads(run(_START + READERS[reader] + _END, written, version).splitlines()[-1])
    expected = contents(written / "records" / "shapes")
    assert {name: tuple(example) for name, example in told.items()} == {
        name: (hashlib.sha256(image).hexdigest(), label) for name, (image, label) in expected.items()
    }


def test_hugging_face_decodes_images_of_many_sizes(written):
    script = """
import datasets
found = datasets.load_dataset(directory)["train"]
assert isinstance(found.features["image"], datasets.Image)
assert found.features["label"].names == ["cat", "dog"]
for example in found:
    take(example["id"], example["image"].convert("RGB").tobytes(), example["label"])
"""
    home = written / "sizes" / "photos"
    told = json.loads(run(_START + script + _END, written, home / "1.0.0").splitlines()[-1])
    assert {name: tuple(example) for name, example in told.items()} == {
        name: (hashlib.sha256(image).hexdigest(), label) for name, (image, label) in contents(home).items()
    }


def test_tfds_refuses_it_and_makes_arrayrecord_of_records(written):
    script = """
import json, sys
import tensorflow_datasets as tfds
from tensorflow_datasets.scripts.cli import convert_format_utils

rows, records, out = sys.argv[1:]
try:
    list(tfds.builder_from_directory(rows).as_dataset(split="train"))
    raise SystemExit("it was read")
except Exception as error:
    assert "None" in str(error), error
# As `tfds convert_format --only_log_errors`: TFDS 4.9.10 looks for the new shards where the old ones are.
convert_format_utils.convert_dataset(
    dataset_version_dir=records, out_dir=out, out_file_format="array_record", num_workers=1, fail_on_error=False
)
source = tfds.builder_from_directory(out).as_data_source(split="train")
print(json.dumps([len(source), source[3]["id"].decode(), int(source[3]["label"]), int(source[3]["image"].sum())]))
"""
    place = ("shapes", "1.0.0")
    out = written / "arrays" / "shapes" / "1.0.0"
    told = run(script, written, written.joinpath("rows", *place), written.joinpath("records", *place), out)
    count, name, label, total = json.loads(told.splitlines()[-1])
    image, same = contents(written / "records" / "shapes")[name]
    assert (count, label, total) == (70, same, int(np.frombuffer(image, np.uint8).sum()))


def test_five_lines_make_webdataset_shards(written):
    lines = """
for row in pq.read_table(shard).to_pylist():
    for ending, data in (("bin", row["image"]), ("cls", b"%d" % row["label"])):
        member = tarfile.TarInfo(f"{row['id']}.{ending}")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
"""
    home = written / "rows" / "shapes"
    (shard,) = open_dataset(str(home)).shard_paths("test")
    out = written / "test-000000.tar"
    start = "import io, sys, tarfile\nimport pyarrow.parquet as pq\n\nshard, out = sys.argv[1:]\n"
    run(f"{start}tar = tarfile.open(out, 'w')\n{lines}\ntar.close()", written, shard, out)
    found: dict[str, dict[str, bytes]] = {}
    with tarfile.open(out) as tar:
        for member in tar:
            name, ending = member.name.split(".")
            found.setdefault(name, {})[ending] = tar.extractfile(member).read()
    expected = {name: each for name, each in contents(home).items() if name.startswith("test-")}
    assert {name: (each["bin"], int(each["cls"])) for name, each in found.items()} == expected
