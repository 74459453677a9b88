"""Refusals before work: what a command line names is looked at before Beam, Keras or TensorFlow is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lpe.pipeline.jobs.ingest import ingest
from lpe.pipeline.jobs.spec import JobSpec
from lpe.pipeline.keystore import KeyStore
from lpe.pipeline.sources.plan import ReadSpec

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("apache_beam", "keras", "tensorflow", "torch", "jax")
ENCRYPT = "encrypt --source synthetic:20 --output out/x --keystore store --key owner"
TRAIN = "train --data dataset:home --output run"
REFUSED = {
    "ingest --source folder:/nowhere --output out/x": "/nowhere: nothing is there",
    "ingest --source cifar:nowhere.tar.gz --output out/x": "nowhere.tar.gz: nothing is there",
    "ingest --source dataset:nowhere --output out/x": "nowhere: no dataset here",
    "ingest --source home --output out/x": "did you mean dataset:home?",
    "ingest --source dataset:home --output out/x --grey": "a dataset is read as it is",
    "ingest --source synthetic:many --output out/x": "whole number",
    "ingest --source synthetic:20 --output out/x --validation-fraction 2": "between 0 and 1",
    "ingest --source synthetic:20 --output out/x --image-size 32,32": "did you mean 32x32?",
    "ingest --source synthetic:20 --output out/x --fit squash": "give crop or stretch",
    "inspect home": "did you mean dataset:home?",
    "inspect folder:/nowhere": "/nowhere: nothing is there",
    "inspect dataset:home --grey": "a dataset is read as it is",
    "inspect synthetic:20 --output sheet.jpg": "ends in .png",
    "inspect synthetic:20 --cipher rot13": "unknown cipher 'rot13'",
    "encrypt --source synthetic:20 --output out/x --keystore nowhere --key a": "nowhere/a.json: no such keyset",
    f"{ENCRYPT} --cipher rot13": "unknown cipher 'rot13'",
    f"{ENCRYPT} --param chain=zigzag": "raster or row",
    f"{ENCRYPT} --seal --image-size any": "--seal needs images of one shape",
    f"{ENCRYPT} --workrs 3": "did you mean --workers?",
    "run --source folder:/nowhere": "/nowhere: nothing is there",
    "run --model resnet81": "did you mean resnet18?",
    "decrypt --source nowhere --output out/x --keystore store": "nowhere: no dataset here",
    "decrypt --source folder:home --output out/x --keystore store": "or as dataset:DIR",
    "decrypt --source home --output out/x --keystore nowhere": "nowhere: no key store here",
    "verify nowhere": "nowhere: no dataset here",
    "verify home --against dataset:nowhere": "nowhere: no dataset here",
    "verify home --keystore nowhere": "nowhere: no key store here",
    "reencrypt nowhere --keystore store": "nowhere: no dataset here",
    "reencrypt home --keystore nowhere": "nowhere: no key store here",
    "reencrypt home --keystore store --cipher rot13": "unknown cipher 'rot13'",
    "reencrypt home --keystore store --retire-after soon": "soon",
    "show home --output x.jpg": "ends in .png",
    "show dataset:nowhere": "nowhere: no dataset here",
    "show": "name either a dataset or a --source",
    "audit dataset:nowhere --keystore store --output a": "nowhere: no dataset here",
    "audit --source folder:/nowhere --output a": "/nowhere: nothing is there",
    "audit --source synthetic:20 --classifier nowhere --output a": "nowhere: no training run here",
    "compare --source folder:/nowhere --output c": "/nowhere: nothing is there",
    "compare --source synthetic:20 --output c --model resnet81": "did you mean resnet18?",
    "compare --source synthetic:20 --output c --recipe slow": "unknown recipe 'slow'",
    "stats --source folder:/nowhere": "/nowhere: nothing is there",
    "train --data nowhere --output run": "nowhere: no dataset here",
    "train --data folder:home --output run": "or as dataset:DIR",
    f"{TRAIN} --model resnet81": "did you mean resnet18?",
    f"{TRAIN} --front-end magic": "unknown front end 'magic'",
    f"{TRAIN} --precision half": "unknown precision 'half'",
    f"{TRAIN} --init-from nowhere": "nowhere: no training run here",
    "evaluate --run nowhere --data home": "nowhere: no training run here",
    "evaluate --run nowhere --data folder:home": "or as dataset:DIR",
    "predict --run nowhere cat.png": "nowhere: no training run here",
    "predict --run work cat.png": "did you mean work/runs/encrypted?",
    "verify work": "a work directory of lpe run",
    "train --data work/runs/encrypted --output run": "a training run; name the dataset",
    "keys register nowhere --keystore store": "nowhere: no training run here",
    "keys export owner --keystore store --dataset dataset:nowhere --output f": "nowhere: no dataset here",
}
"""A command line -> a part of what refuses it."""
PROGRAM = f"""
import contextlib, io, json, sys
from lpe.pipeline.cli.app import main
outcomes = {{}}
for line in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()):
        code = main(line.split())
    heavy = [name for name in {HEAVY} if name in sys.modules]
    outcomes[line] = [code, err.getvalue(), heavy]
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, list]:
    """Of each command line, run one after another in one process: exit code, standard error, heavy imports so far."""
    place = tmp_path_factory.mktemp("refused")
    ingest(JobSpec(ReadSpec("synthetic:20"), str(place / "home")))
    KeyStore(str(place / "store")).create("owner")
    (place / "work" / "runs" / "encrypted").mkdir(parents=True)
    (place / "work" / "runs" / "encrypted" / "spec.json").write_text("{}")
    before = {path.name for path in place.iterdir()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(list(REFUSED))],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in place.iterdir()} == before
    return json.loads(done.stdout)


@pytest.mark.parametrize("line", REFUSED)
def test_it_is_refused_in_one_line_before_anything_heavy_is_imported(outcomes, line):
    code, text, heavy = outcomes[line]
    assert code in (1, 2)
    assert REFUSED[line] in text
    assert text.startswith("lpe: ")
    assert text.count("\n") == 1
    assert heavy == []
