"""The loops that train/README.md shows run as they stand, without the frameworks that they do not need."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import ROOT, blocks
from tests.train.datasets import ENCRYPTION, write_dataset

FRAMEWORKS = {
    "torch": ("torch", r"epoch 1: loss"),
    "jax": ("jax", r"loss "),
    "tensorflow": ("tensorflow", r"of 200 images"),
    "grain": ("grain", r"(8, 16, 16, 3) int64"),
}
BARRED = ("tensorflow", "tensorflow_datasets", "keras", "jax", "torch", "apache_beam", "tink", "pyarrow")
NEEDS = {"grain": ("jax",)}


def test_there_is_one_of_each():
    shown = [block for block in blocks(ROOT / "train" / "README.md", "python") if "lpe.data" in block]
    assert [block.split()[1] for block in shown] == [*FRAMEWORKS]
    for block in shown:
        assert len([line for line in block.splitlines() if line.strip()]) <= 18


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_runs(framework, tmp_path):
    module, printed = FRAMEWORKS[framework]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install {module}")
    write_dataset(tmp_path / "data/enc/photos", encryption=ENCRYPTION)
    (block,) = (
        block
        for block in blocks(ROOT / "train" / "README.md", "python")
        if block.startswith(f"import {framework}")
    )
    barred = [name for name in BARRED if name not in (module, *NEEDS.get(framework, ()))]
    code = f"import sys\nsys.modules.update(dict.fromkeys({barred}))\n{block}"
    script = Path(tmp_path, "example.py")
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
