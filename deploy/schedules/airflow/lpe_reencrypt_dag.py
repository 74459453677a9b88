"""Scheduled re-encryption with Airflow: one task for each dataset.

Copy this file and lpe_reencrypt_job.py to the DAGs' folder, install apache-airflow-providers-apache-beam,
and set in the environment of Airflow:

  LPE_DATASETS   homes of datasets, ROOT/NAME, separated by blanks
  LPE_KEYSTORE   the key store
  LPE_PYTHON     Python of the environment where lpe is installed, e.g. /opt/lpe/bin/python

`lpe` stays in an environment of its own, so its pins and Airflow's do not meet. The operator waits for the
process and writes its output to the task's log; a task that fails or is killed is tried again and continues.

To work on Dataflow, put `runner`, `project`, `region`, `temp_location` and so on into `pipeline_options`, and
leave the operator's own `runner` as it is: with DataflowRunner there the operator stops waiting for the process
once the job has an id, but it is the process that commits the new version, retires the old one and
destroys keys. A BashOperator with the command line of the other schedules does the same as this operator.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from airflow.providers.apache.beam.operators.beam import BeamRunPythonPipelineOperator
from airflow.sdk import DAG

with DAG(
    dag_id="lpe_reencrypt",
    description="Re-encrypt datasets whose keys have come of age",
    # A run with nothing due takes a moment, and one that fails is made up for within the day.
    schedule="17 */6 * * *",
    start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": datetime.timedelta(minutes=5),
        "retry_exponential_backoff": True,
        "max_retry_delay": datetime.timedelta(hours=1),
        "execution_timeout": datetime.timedelta(hours=12),
    },
):
    for number, home in enumerate(os.environ["LPE_DATASETS"].split()):
        BeamRunPythonPipelineOperator(
            task_id=f"reencrypt_{number}_{home.rstrip('/').rpartition('/')[2]}",
            py_file=str(Path(__file__).with_name("lpe_reencrypt_job.py")),
            py_interpreter=os.environ["LPE_PYTHON"],
            runner="FnApiRunner",
            pipeline_options={
                "dataset": home,
                "keystore": os.environ["LPE_KEYSTORE"],
                "if-due": True,
                "retire-after": "7d",
                "destroy-keys": True,
            },
        )
