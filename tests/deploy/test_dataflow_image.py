"""deploy/dataflow/Dockerfile: hadolint reads it, its context is what it copies, its pip step makes a worker."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.deploy.confidential import CONFIDENTIAL
from tests.deploy.dataflow import DATAFLOW, ROOT
from tests.deploy.dockerfile import hadolint, instructions

DOCKERFILE = DATAFLOW / "Dockerfile"
FORBIDDEN = ("tensorflow", "keras", "jax", "torch")


def pip_words() -> list[str]:
    """The one command that the image is built by."""
    (command,) = (words for name, words in instructions(DOCKERFILE) if name == "RUN")
    words = shlex.split(command)
    assert words[:2] == ["pip", "install"]
    return words[2:]


def test_hadolint_finds_nothing():
    found = hadolint(DOCKERFILE)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("pip install --no-cache-dir", "pip install", "DL3042"),
        ("20230622_RC00", "latest", "DL3007"),
        ("WORKDIR /template", "WORKDIR template", "DL3000"),
        ('ENTRYPOINT ["/opt/apache/beam/boot"]', "ENTRYPOINT /opt/apache/beam/boot", "DL3025"),
    ],
)
def test_hadolint_would_find_it(old, new, rule, tmp_path):
    text = DOCKERFILE.read_text()
    assert old in text
    (tmp_path / "Dockerfile").write_text(text.replace(old, new))
    found = hadolint(tmp_path / "Dockerfile")
    assert found.returncode == 1
    assert rule in found.stdout


def test_the_image_starts_what_dataflow_expects():
    last = max(index for index, (name, _) in enumerate(instructions(DOCKERFILE)) if name == "FROM")
    final = instructions(DOCKERFILE)[last + 1 :]
    assert ("ENTRYPOINT", '["/opt/apache/beam/boot"]') in final
    copied = {words.split()[-1] for name, words in final if name == "COPY"}
    (program,) = re.findall(r"FLEX_TEMPLATE_PYTHON_PY_FILE=(\S+)", DOCKERFILE.read_text())
    assert {program, "/opt/apache/beam", "/opt/google/dataflow/python_template_launcher"} <= copied
    assert not [name for name, _ in final if name == "RUN"], (
        "what is run belongs into the stage that is left behind"
    )
    # Both sides of a job must be of one version.
    (sdk,) = re.findall(r"apache/beam_python3\.11_sdk:(\S+)", DOCKERFILE.read_text())
    assert f"apache-beam=={sdk}\n" in (ROOT / "constraints.txt").read_text()


def test_the_context_holds_what_is_copied_and_nothing_more():
    """The two images are built from one context."""
    sources = []
    for file in (DOCKERFILE, CONFIDENTIAL / "Dockerfile"):
        for name, words in instructions(file):
            if name == "COPY" and not words.startswith("--from"):
                sources += words.split()[:-1]
    for source in sources:
        assert (ROOT / source).exists(), source
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(sources)


@pytest.fixture
def installed(tmp_path) -> Path:
    """Python of an environment made by the Dockerfile's own command, from its own context."""
    context, python = tmp_path / "context", tmp_path / "image" / "bin" / "python"
    context.mkdir()
    for name in ("setup.py", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, context)
    for name in ("lpe", "transforms", "pipeline", "train"):
        shutil.copytree(
            ROOT / name, context / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    words = pip_words()
    prefix = next(word for word in words if word.startswith("--prefix="))
    words.remove(prefix)  # the environment has a prefix of its own
    # The image's layers are better without pip's cache; here it saves a download of 150 MB.
    words.remove("--no-cache-dir")
    subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *words], cwd=context, capture_output=True, text=True, check=False)
    if done.returncode != 0 and re.search("connection|temporar|time", done.stderr, re.IGNORECASE):
        line = (
            f"the package index can't be reached, so the image's pip step is not tested: {done.stderr[-300:]}"
        )
        warnings.warn(line, stacklevel=1)
        pytest.skip(line)
    assert done.returncode == 0, done.stderr
    return python


@pytest.mark.slow
def test_the_pip_step_makes_a_worker_without_tensorflow(installed, tmp_path, capsys):
    site = Path(installed).parents[1] / "lib" / "python3.11" / "site-packages"
    present = {path.name.lower() for path in site.iterdir()}
    assert {name for name in FORBIDDEN if name in present} == set()
    assert {"apache_beam", "tink", "lpe"} <= present  # the folder looked at is the right one
    assert not {"pipeline", "transforms", "train"} & present  # those names are users' own

    def run(*words: object) -> str:
        # Not from the checkout, which has the packages too.
        environment = {"PATH": f"{installed.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        command = [str(word) for word in words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert "encrypt" in run(installed.with_name("lpe"), "--help")
    run(installed, "-m", "pip", "check")
    code = "import apache_beam.io.gcp.gcsio, apache_beam.runners.dataflow.internal.apiclient, tink.integration.gcpkms"
    run(installed, "-c", code)
    # The program of the template, on this machine; nothing of the checkout is in reach.
    keystore = f"--keystore={tmp_path / 'keys'}"
    run(installed.with_name("lpe"), "keys", "create", "patients", keystore)
    program = shutil.copy(DATAFLOW / "template" / "launch.py", tmp_path)
    home = tmp_path / "encrypted" / "shapes"
    run(installed, program, "--source=synthetic:40", f"--output={home}", keystore, "--key=patients")
    assert (home / "1.0.0" / "dataset_info.json").is_file()
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
    with capsys.disabled():
        print(f"\nthe image's packages: {size:.0f} MB")
    assert size < 1000
