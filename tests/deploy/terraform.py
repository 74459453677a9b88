"""The Terraform files of deploy/schedules/gcp, evaluated without Google's provider."""

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
    terraform = tool("terraform", "HashiCorp's binary")
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
        out = subprocess.run(
            [terraform, "console"],
            input="jsonencode(local.launch)\n",
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return json.loads(json.loads(out))
