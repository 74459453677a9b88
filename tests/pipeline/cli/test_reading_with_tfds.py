"""The line by which TFDS reads a dataset: the documents' and the commands', as they stand, without network."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lpe.pipeline.dataset.tfds_names import TFDS_NAMES
from tests.pipeline.running import contents, encrypting

ROOT = Path(__file__).resolve().parents[3]
_LINE = re.compile(r"tfds\.builder_from_directory\([^)]*\)\.as_dataset\([^)]*\)")
_READ = """
import hashlib, json, socket, sys

def refused(*_):
    raise OSError("no network here")

socket.socket.connect = socket.getaddrinfo = refused
import tensorflow_datasets as tfds

read = {}
for line in sys.argv[2:]:
    examples = tfds.as_numpy(eval(line))
    read[line] = {e["id"].decode(): [hashlib.sha256(e["image"]).hexdigest(), int(e["label"])] for e in examples}
other = str(tfds.builder("cifar10", data_dir=sys.argv[1]).info.version)
print(json.dumps({"read": read, "other": other, "names": tfds.list_builders(with_community_datasets=False)}))
"""


def test_the_line_reads_what_we_encrypt(lpe, keystore, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    shown = {
        line
        for name in ("README.md", "pipeline/README.md")
        for line in _LINE.findall((ROOT / name).read_text())
    }
    (documented,) = shown
    version = tmp_path / re.findall(r'"([^"]+)"', documented)[0]
    assert version.name == "1.0.0"
    made = lpe(*encrypting(keystore, "synthetic:60", version.parent))
    assert made.code == 0
    (printed,) = _LINE.findall(made.out)
    assert made.out.splitlines()[-1] == f"read it with TFDS: {printed}"
    command = [sys.executable, "-c", _READ, version.parent.parent, documented, printed]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert process.returncode == 0, process.stderr
    told = json.loads(process.stdout.splitlines()[-1])
    for line in (documented, printed):
        found = told["read"][line]
        ours = {i: example for i, example in contents(version.parent).items() if i.startswith("train-")}
        assert len(found) == 60
        assert found == {i: [digest(image), label] for i, (image, label) in ours.items()}
    # What the warning is for: by a name that it knows, TFDS finds its own dataset.
    assert told["other"] != "1.0.0"
    assert set(told["names"]) == TFDS_NAMES


def digest(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()


@pytest.mark.parametrize("command", ["ingest", "encrypt"])
def test_a_name_that_tfds_knows_is_warned_of(lpe, keystore, tmp_path, command):
    def run(name: str):
        home = tmp_path / "data" / name
        words = ("ingest", "--source", "synthetic:20", "--output", home)
        return lpe(*(words if command == "ingest" else encrypting(keystore, "synthetic:20", home)))

    warned = run("mnist")
    assert warned.code == 0
    assert "warning: TFDS has a mnist of its own: tfds.load('mnist')" in warned.err
    assert "e.g. my_mnist" in warned.err
    assert run("my_mnist").err == ""


def test_a_sealed_dataset_is_not_read_so(lpe, keystore, tmp_path):
    made = lpe(*encrypting(keystore, "synthetic:20", tmp_path / "enc" / "shapes"), "--seal")
    assert made.code == 0
    assert "tfds" not in made.out
