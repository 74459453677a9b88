"""Run by Airflow's Python, which has none of ours: loads the DAG, prints what it holds, runs its first task."""

from __future__ import annotations

import json
import sys

from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
found = {
    dag.dag_id: {
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "schedule": dag.schedule,
        "tasks": [
            {
                "id": task.task_id,
                "operator": type(task).__name__,
                "retries": task.retries,
                "backoff": task.retry_exponential_backoff,
                "options": task.pipeline_options,
            }
            for task in dag.tasks
        ],
    }
    for dag in bag.dags.values()
}
print(json.dumps({"errors": bag.import_errors, "dags": found}))
sys.stdout.flush()
bag.dags["lpe_reencrypt"].tasks[0].execute({})
