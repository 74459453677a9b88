"""deploy/schedules/airflow: Airflow's own DagBag loads the DAG, and its Beam operator runs a task for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.conftest import Lpe
from tests.deploy import SCHEDULES

HERE = Path(__file__).parent


@pytest.fixture
def airflow(tmp_path) -> Path:
    """Python of an environment with the parts of Airflow that the DAG loads: its pins and ours don't meet."""
    python = tmp_path / "airflow" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", python.parents[1]], check=True)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-compile"]
    installed = subprocess.run(
        [*pip, "-r", HERE / "airflow.txt"], capture_output=True, text=True, check=False
    )
    if installed.returncode != 0:
        line = f"Airflow can't be installed, so its DAG is not tested: {installed.stderr.strip()[-300:]}"
        warnings.warn(line, stacklevel=1)
        pytest.skip(line)
    return python


@pytest.mark.slow
def test_airflow_loads_the_dag_and_its_task_reencrypts(airflow, lpe: Lpe, tmp_path, keystore):
    home = tmp_path / "encrypted" / "cifar10"
    lpe("encrypt", "--source", "synthetic:40", "--output", home, "--keystore", keystore, "--key", "patients")
    lpe("keys", "rotate", "patients", "--keystore", keystore)
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "LPE_DATASETS": f"{home} gs://owner-data/second",
        "LPE_KEYSTORE": keystore,
        "LPE_PYTHON": sys.executable,
    }
    words = [airflow, HERE / "airflow_check.py", SCHEDULES / "airflow"]
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = next(json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"errors"'))
    assert found["errors"] == {}
    dag = found["dags"]["lpe_reencrypt"]
    assert (dag["max_active_runs"], dag["catchup"]) == (1, False)
    assert [task["options"]["dataset"] for task in dag["tasks"]] == [str(home), "gs://owner-data/second"]
    for task in dag["tasks"]:
        assert task["operator"] == "BeamRunPythonPipelineOperator"
        assert task["retries"] > 0
        assert task["backoff"]
        assert task["options"]["retire-after"] == "7d"
    assert (home / "1.0.1").is_dir()
