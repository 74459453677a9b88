"""Runs on disk that cannot be used."""

import pytest

from lpe.train.runs import load_run
from lpe.transforms.errors import DataError


def test_unusable_runs_are_explained(tmp_path):
    with pytest.raises(DataError, match="no training run here"):
        load_run(str(tmp_path))
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        load_run(str(tmp_path))
    (tmp_path / "run.json").write_text('{"format_version": 99}')
    with pytest.raises(DataError, match="run format 99"):
        load_run(str(tmp_path))
