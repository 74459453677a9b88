"""deploy/schedules: the real `lpe` takes each schedule's command line, and cron's line does what it says."""

from __future__ import annotations

import json
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml

from lpe.pipeline.cli.app import app
from tests.conftest import Lpe
from tests.deploy import SCHEDULES
from tests.deploy.terraform import launch_requests


def assignments(text: str) -> dict[str, str]:
    """Lines of the form NAME=VALUE, as cron and systemd read them."""
    return {
        name: value.strip('"') for name, value in re.findall(r"^([A-Za-z_][A-Za-z_0-9]*)=(.*)$", text, re.M)
    }


def cron() -> tuple[dict[str, str], str]:
    """The crontab's variables, and its one command."""
    text = (SCHEDULES / "cron" / "lpe-reencrypt").read_text()
    # Five fields of time, the user, the command. cron would turn a % into a new line.
    (command,) = re.findall(r"^\d+ \*/\d+ \* \* \* lpe ([^%\n]+)$", text, re.M)
    return assignments(text), command


def cron_words() -> list[str]:
    variables, command = cron()
    (call,) = re.findall(r"\blpe (reencrypt .*?) >>", command)
    return shlex.split(expand(call, variables))


def systemd_words() -> list[str]:
    variables = assignments((SCHEDULES / "systemd" / "reencrypt.conf").read_text())
    unit = (SCHEDULES / "systemd" / "lpe-reencrypt.service").read_text()
    (call,) = re.findall(r"^ExecStart=/usr/local/bin/lpe (.*)$", unit, re.M)
    return shlex.split(expand(call, variables))


def expand(call: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: variables[found[1]], call)


def kubernetes_words() -> list[str]:
    (job,) = (
        each
        for each in yaml.safe_load_all((SCHEDULES / "kubernetes" / "cronjob.yaml").read_text())
        if each["kind"] == "CronJob"
    )
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["lpe"]
    return container["args"]


def gcp_words() -> list[str]:
    parameters = launch_requests(["gs://owner-data/cifar10"])["gs://owner-data/cifar10"]["launchParameter"][
        "parameters"
    ]
    words = ["reencrypt", parameters.pop("dataset")]
    for name, value in parameters.items():
        option = "--" + name.replace("_", "-")
        words.append(option if value == "true" else f"{option}={value}")
    return words


@pytest.mark.parametrize("words", [cron_words, systemd_words, kubernetes_words, gcp_words])
def test_the_command_carries_out_the_policy(words: Callable[[], list[str]], lpe: Lpe, tmp_path, keystore):
    home = tmp_path / "encrypted" / "cifar10"
    encrypt(lpe, home, keystore)
    lpe("keys", "rotate", "patients", "--keystore", keystore)
    given = words()
    command = typer.main.get_command(app)
    _, command, rest = command.resolve_command(typer.Context(command), list(given))
    parsed = command.make_context("reencrypt", rest).params
    assert (parsed["if_due"], parsed["retire_after"], parsed["destroy_keys"]) == (True, "7d", True)
    (dataset,) = parsed["datasets"]
    here = [word.replace(dataset, str(home)).replace(parsed["keystore"], keystore) for word in given]
    planned = lpe(*here, "--dry-run", *([] if "--json" in here else ["--json"]))
    assert planned.code == 0, planned
    (plan,) = planned.json["plans"]
    assert plan["dataset"] == str(home / "1.0.0")
    assert plan["reencrypt"] is not None


def test_cron_logs_every_run_and_prints_failures_alone(lpe: Lpe, tmp_path, keystore):
    home, log = tmp_path / "encrypted" / "cifar10", tmp_path / "reencrypt.jsonl"
    encrypt(lpe, home, keystore)
    lpe("keys", "rotate", "patients", "--keystore", keystore)
    variables, command = cron()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{variables['PATH']}",
        "LPE_DATASETS": str(home),
        "LPE_KEYSTORE": keystore,
        "LPE_LOG": str(log),
    }
    assert set(environment) <= set(variables)

    def run(**other: str) -> str:
        words = [variables["SHELL"], "-c", command]
        done = subprocess.run(
            words, env=environment | other, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        return done.stdout + done.stderr

    assert run() == ""
    assert run() == ""
    mailed = run(LPE_KEYSTORE=str(tmp_path / "nowhere"))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["ok", "skipped", "error"]
    assert str(tmp_path / "nowhere") in lines[-1]["error"]
    assert json.loads(mailed) == lines[-1]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert (home / "1.0.1").is_dir()


def test_options_of_beam_may_be_appended(lpe: Lpe, tmp_path, keystore):
    home = tmp_path / "encrypted" / "cifar10"
    encrypt(lpe, home, keystore)
    done = lpe("reencrypt", home, "--keystore", keystore, "--if-due", "--runner=FnApiRunner", "--labels=a=b")
    assert done.code == 0, done
    assert lpe("reencrypt", home, "--keystore", keystore, "--if-deu").code == 2


def encrypt(lpe: Lpe, home: Path, keystore: str) -> None:
    done = lpe(
        "encrypt", "--source", "synthetic:40", "--output", home, "--keystore", keystore, "--key", "patients"
    )
    assert done.code == 0, done.err
