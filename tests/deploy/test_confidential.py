"""deploy/confidential: an image that leaves its operator no way in, and a program that says what it misses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.deploy.confidential import CONFIDENTIAL, workload
from tests.deploy.dockerfile import hadolint, instructions

DOCKERFILE = CONFIDENTIAL / "Dockerfile"
README = CONFIDENTIAL / "README.md"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
POOL = "//iam.googleapis.com/projects/1234/locations/global/workloadIdentityPools/lpe/providers/confidential-space"
GIVEN = {
    "LPE_DATA": "gs://owner-sealed/photos",
    "LPE_OUTPUT": "gs://owner-models/photos/model.sealed",
    "LPE_OWNER": "https://owner.example:8443",
    "LPE_OWNER_CERTIFICATES": PEM,
}


def final_stage() -> list[tuple[str, str]]:
    found = instructions(DOCKERFILE)
    last = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


def labels() -> dict[str, str]:
    return dict(
        re.findall(r'"([^"]+)"="([^"]*)"', words)[0] for name, words in final_stage() if name == "LABEL"
    )


def test_hadolint_finds_nothing():
    found = hadolint(DOCKERFILE)
    assert (found.returncode, found.stdout) == (0, "")


def test_hadolint_would_find_it(tmp_path):
    text = DOCKERFILE.read_text().replace("pip install --no-cache-dir", "pip install")
    (tmp_path / "Dockerfile").write_text(text)
    assert "DL3042" in hadolint(tmp_path / "Dockerfile").stdout


def test_the_final_stage_needs_no_shell_and_no_root():
    stage = final_stage()
    assert not [name for name, _ in stage if name in ("RUN", "SHELL", "CMD", "EXPOSE", "VOLUME", "ADD")]
    base = dict(word.split("=", 1) for name, word in instructions(DOCKERFILE) if name == "ARG")["BASE"]
    assert stage[0] == ("FROM", "${BASE}")
    assert re.fullmatch(r"gcr\.io/distroless/\S+:nonroot(@sha256:[0-9a-f]{64})?", base)
    (user,) = (words for name, words in stage if name == "USER")
    assert all(int(number) > 0 for number in user.split(":"))
    (entry,) = (json.loads(words) for name, words in stage if name == "ENTRYPOINT")
    assert entry == ["/usr/bin/python3", "/workload.py"]
    # What is copied stays root's, so that the user can change nothing.
    assert not [words for name, words in stage if name == "COPY" and "--ch" in words]


def test_the_operator_may_set_what_the_program_documents_and_nothing_else():
    program = workload()
    allowed = labels()["tee.launch_policy.allow_env_override"].split(",")
    assert allowed == list(program.VARIABLES)
    assert re.findall(r"^    (LPE_\w+) ", program.__doc__ or "", re.MULTILINE) == allowed
    assert re.findall(r"^\| `(LPE_\w+)` ", README.read_text(), re.MULTILINE) == allowed
    # With any of these, their code would run under the approved digest.
    assert not {"LPE_PROVIDER", "PYTHONPATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "PATH"} & set(allowed)


def test_the_launcher_is_told_to_refuse_the_rest():
    policy = {name.removeprefix("tee.launch_policy."): value for name, value in labels().items()}
    assert {name: policy[name] for name in policy if name != "allow_env_override"} == {
        "allow_cmd_override": "false",
        "allow_capabilities": "false",
        "allow_cgroups": "false",
        "log_redirect": "debugonly",
        "hardened_monitoring": "none",
        "allow_mount_destinations": "/tmp",
    }


def run(environment: dict[str, str]) -> tuple[int, dict[str, str]]:
    """The program's exit code and its one line. It gets no further than its variables here."""
    program = [sys.executable, str(CONFIDENTIAL / "workload.py")]
    kept = {"PATH": os.environ["PATH"]}
    done = subprocess.run(program, env=kept | environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    return done.returncode, json.loads(line)


@pytest.mark.parametrize("name", GIVEN)
def test_a_missing_variable_is_named(name):
    code, said = run({key: value for key, value in GIVEN.items() if key != name})
    assert (code, said["status"]) == (2, "error")
    assert said["error"].startswith(f"{name} is not set")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LPE_DATA", "photos"),
        ("LPE_OUTPUT", "gs://owner-models/"),
        ("LPE_OWNER", "http://owner.example:8443"),
        ("LPE_OWNER", "https://owner.example:8443/a\nb"),
        ("LPE_OWNER_CERTIFICATES", "owner.pem"),
        ("LPE_OWNER_CERTIFICATES", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"),
        ("LPE_IDENTITY", "projects/1234"),
        ("LPE_MODEL", "../cnn"),
        ("LPE_EPOCHS", "0"),
        ("LPE_EPOCHS", "ten"),
    ],
)
def test_a_wrong_variable_is_named_and_not_repeated(name, value):
    code, said = run({**GIVEN, name: value})
    assert code == 2
    assert said["error"].startswith(f"{name} must be ")
    assert value not in said["error"]


@pytest.fixture
def core(monkeypatch) -> dict[str, object]:
    """What the program asks of `lpe`, written down by a package in its place."""
    asked: dict[str, object] = {}

    def train_released(spec: object, released: object, output: str) -> SimpleNamespace:
        asked["trained"] = (spec, released, output)
        return SimpleNamespace(to_json=lambda: {"accuracy": 0.5})

    def owner_service(url: str, certificates: str) -> str:
        asked["certificates"] = certificates
        return url

    fake = SimpleNamespace(
        OwnerService=owner_service,
        attest_to=lambda *given: ("released", *given),
        TrainSpec=lambda **fields: fields,
        train_released=train_released,
    )
    monkeypatch.setitem(sys.modules, "lpe", fake)
    return asked


def test_the_program_attests_and_trains(core, monkeypatch, tmp_path, capsys):
    for name, value in {**GIVEN, "LPE_EPOCHS": "3", "LPE_IDENTITY": POOL}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")  # so that it is put back
    assert workload().main(tmp_path) == 0
    assert json.loads(capsys.readouterr().out) == {"status": "ok", "result": {"accuracy": 0.5}}
    spec, released, output = core["trained"]
    data, owner = GIVEN["LPE_DATA"], GIVEN["LPE_OWNER"]
    assert released == ("released", owner, "confidential-space")
    assert (spec["data"], spec["model"], spec["epochs"], output) == (data, "cnn", 3, GIVEN["LPE_OUTPUT"])
    assert spec["cache"].startswith(str(tmp_path))
    assert core["certificates"] == str(tmp_path / "owner.pem")
    assert (tmp_path / "owner.pem").read_text() == PEM
    google = json.loads((tmp_path / "google.json").read_text())
    assert os.environ["GOOGLE_APPLICATION_CREDENTIALS"] == str(tmp_path / "google.json")
    assert google["audience"] == POOL
    assert google["credential_source"]["file"].startswith("/run/container_launcher/")


def test_googles_library_takes_the_credentials():
    from google.auth import identity_pool  # noqa: PLC0415

    assert identity_pool.Credentials.from_info(workload().credentials(POOL)).info["audience"] == POOL


def test_a_failure_is_one_line(core, monkeypatch, tmp_path, capsys):
    def refused(*_: object) -> None:
        raise PermissionError("the owner refused\nand more")

    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.modules["lpe"], "attest_to", refused)
    assert workload().main(tmp_path) == 1
    said = json.loads(capsys.readouterr().out)
    assert said == {"status": "error", "error": "PermissionError: the owner refused"}
    assert "trained" not in core
