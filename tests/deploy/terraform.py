"""Terraform files evaluated without Google's provider."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.deploy import SCHEDULES, tool

GCP = SCHEDULES / "gcp"


def launch_requests(datasets: Sequence[str]) -> dict[str, Any]:
    """The body that Cloud Scheduler would send for each dataset."""
    values = {
        "project": "owner",
        "region": "europe-west4",
        "datasets": list(datasets),
        "keystore": "gs://owner-keys/lpe",
        "template": "gs://owner-jobs/lpe.json",
        "temp_location": "gs://owner-jobs/temp",
        "worker_service_account": "lpe-worker@owner.iam.gserviceaccount.com",
        "scheduler_service_account": "lpe-scheduler@owner.iam.gserviceaccount.com",
    }
    with tempfile.TemporaryDirectory() as folder:
        # main.tf needs the provider; the body is in a file that does not.
        for name in ("variables.tf", "launch.tf"):
            shutil.copy(GCP / name, folder)
        (Path(folder) / "owner.auto.tfvars.json").write_text(json.dumps(values))
        return evaluate(Path(folder), "local.launch")


def evaluate(folder: Path, expression: str) -> Any:
    """The value of an expression over a folder whose files need no provider."""
    done = _terraform(folder, "console", text=f"jsonencode({expression})\n")
    assert done.returncode == 0, done.stderr
    return json.loads(json.loads(done.stdout))


def refusal(folder: Path) -> str:
    """What a plan says that is refused."""
    done = _terraform(folder, "plan", "-input=false", "-no-color")
    assert done.returncode == 1, done.stdout
    return done.stderr


def _terraform(folder: Path, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    program = tool("terraform", "HashiCorp's binary")
    return subprocess.run(
        [program, *words], input=text, cwd=folder, capture_output=True, text=True, check=False
    )
