"""deploy/schedules: systemd, Kubernetes, Terraform and Google's own messages read the files without complaint."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from google.cloud.dataflow_v1beta3.types import LaunchFlexTemplateRequest
from google.protobuf import json_format

from tests.deploy import SCHEDULES, changed, tool
from tests.deploy.terraform import launch_requests

UNITS = ("lpe-reencrypt.service", "lpe-reencrypt.timer", "lpe-reencrypt-failed.service")
KUBERNETES = "1.37"


@pytest.fixture
def units(tmp_path) -> Path:
    """The units with the path of the `lpe` that is here, since systemd looks for the program."""
    for name in UNITS:
        text = (SCHEDULES / "systemd" / name).read_text()
        (tmp_path / name).write_text(
            text.replace("/usr/local/bin/lpe", str(Path(sys.executable).with_name("lpe")))
        )
    return tmp_path


def analyze(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = tool("systemd-analyze", "apt-get install systemd")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, cwd=cwd)


def test_systemd_accepts_the_units(units):
    verified = analyze("verify", *(f"./{name}" for name in UNITS), cwd=units)
    # Most mistakes are warnings, and leave the exit code at 0.
    assert (verified.returncode, verified.stderr) == (0, "")


def test_systemd_would_say_if_they_were_wrong(units):
    service = units / UNITS[0]
    service.write_text(service.read_text().replace("ProtectSystem=strict", "ProtectSystem=strickt"))
    assert "strickt" in analyze("verify", f"./{UNITS[0]}", cwd=units).stderr


def test_the_service_is_shut_in(units):
    """systemd's own score of exposure, from 0 (none) to 10: 1.7 as shipped, and no more than 2."""
    found = analyze("security", "--offline=true", "--no-pager", "--threshold=20", f"./{UNITS[0]}", cwd=units)
    assert found.returncode == 0, found.stdout.splitlines()[-1]


def test_the_timer_runs_four_times_a_day():
    (expression,) = re.findall(r"^OnCalendar=(.*)$", (SCHEDULES / "systemd" / UNITS[1]).read_text(), re.M)
    out = analyze("calendar", "--iterations=5", expression).stdout
    times = [
        datetime.datetime.fromisoformat(text) for text in re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", out)
    ]
    assert len(times) >= 5
    assert {after - before for before, after in zip(times[-5:], times[-4:], strict=False)} == {
        datetime.timedelta(hours=6)
    }


def kubernetes_objects() -> dict[str, Any]:
    text = (SCHEDULES / "kubernetes" / "cronjob.yaml").read_text()
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def test_kubernetes_schema_accepts_the_objects():
    objects = kubernetes_objects()
    assert set(objects) == {"Namespace", "ServiceAccount", "CronJob"}
    for each in objects.values():
        kubernetes_validate.validate(each, KUBERNETES, strict=True)
    account = objects["ServiceAccount"]["metadata"]
    spec = objects["CronJob"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"  # the schema would take any word
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["name"]
    assert objects["CronJob"]["metadata"]["namespace"] == account["namespace"]
    mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "concurencyPolicy"), "Forbid"),
        (("spec", "jobTemplate", "spec", "backoffLimit"), "three"),
        (("spec", "jobTemplate", "spec", "template", "spec", "securityContext", "runAsNonRoot"), "yes"),
    ],
    ids=["misspelt", "no number", "no truth value"],
)
def test_kubernetes_schema_refuses_a_broken_field(path, value):
    job = changed(kubernetes_objects()["CronJob"], path, value)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, KUBERNETES, strict=True)


def test_cloud_scheduler_sends_what_dataflow_takes():
    datasets = ["gs://owner-data/a", "gs://owner-data/b"]
    requests = launch_requests(datasets)
    assert sorted(requests) == datasets
    names = set()
    for dataset, body in requests.items():
        launch = parse_request(body).launch_parameter
        assert launch.parameters["dataset"] == dataset
        assert re.fullmatch(r"[a-z][-a-z0-9]*[a-z0-9]", launch.job_name)
        names.add(launch.job_name)
    assert len(names) == 2


def test_googles_messages_refuse_a_misspelt_field():
    body = launch_requests(["gs://owner-data/a"])["gs://owner-data/a"]
    body["launchParameter"]["environment"]["serviceAccount"] = "x"
    with pytest.raises(json_format.ParseError, match="serviceAccount"):
        parse_request(body)


def parse_request(body: dict[str, Any]) -> LaunchFlexTemplateRequest:
    message = LaunchFlexTemplateRequest()
    json_format.ParseDict(body, LaunchFlexTemplateRequest.pb(message))
    return message
