"""A loopback stub of the Dataflow service: its REST API, and jobs that really run.

What it is not: Google's. It holds to the documented API and to what Beam's client asks of it; it plans
nothing, scales nothing and checks no permission.
"""

from tests.servers.dataflow.job import Job
from tests.servers.dataflow.service import Dataflow, Execute, dataflow_service

__all__ = ["Dataflow", "Execute", "Job", "dataflow_service"]
