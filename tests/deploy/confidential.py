"""The files of deploy/confidential, as tests read them."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from tests.deploy.dataflow import ROOT

CONFIDENTIAL = ROOT / "deploy" / "confidential"


def workload() -> ModuleType:
    """The container's program."""
    spec = importlib.util.spec_from_file_location("lpe_workload", CONFIDENTIAL / "workload.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
