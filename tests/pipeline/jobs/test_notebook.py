"""Results as notebooks show them: the command's rows, with everything escaped."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from lpe.pipeline.audit.report import AuditReport
from lpe.pipeline.compare.report import Comparison
from lpe.pipeline.compare.trials import CompareSpec
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.engine.metrics import JobMetrics, Seconds
from lpe.pipeline.jobs.demo import DemoResult, Step
from lpe.pipeline.jobs.doctor.check import Check
from lpe.pipeline.jobs.doctor.report import DoctorReport
from lpe.pipeline.jobs.dry_run import Forecast, SplitForecast
from lpe.pipeline.jobs.predict import Prediction
from lpe.pipeline.jobs.show import Column, Grid
from lpe.pipeline.jobs.spec import JobResult
from lpe.pipeline.jobs.stats import Change, Statistics, StatisticsTable
from lpe.pipeline.jobs.verify import Verification
from lpe.pipeline.sources.plan import ReadSpec
from lpe.train.evaluate import Evaluation
from lpe.train.loop import TrainResult
from lpe.train.versions import DataUsed
from tests.train.datasets import ENCRYPTION, write_dataset

HOSTILE = "<script>'&\""
ESCAPED = "&lt;script&gt;&#x27;&amp;&quot;"
METRICS = JobMetrics(8, 2, 100, 1000, 0, {"read": Seconds(1.0, 0.1, 0.2, 0.3)})
DATA = DataUsed(HOSTILE, "1.0.0", ENCRYPTION)
STATISTICS = Statistics(HOSTILE, 7.5, 300.0, 0.1, 0.2, 0.3, Change(1, 2), None)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    place = tmp_path_factory.mktemp("data") / HOSTILE
    return open_dataset(write_dataset(place / "toy", encryption=ENCRYPTION))


@pytest.fixture(
    params=["dataset", "job", "verification", "forecast", "audit", "comparison", "train", "evaluate", "predict",
            "run", "stats", "doctor"]
)  # fmt: skip
def result(request, dataset):
    results = {
        "dataset": dataset,
        "job": JobResult(dataset, skipped=False, seconds=1.5, metrics=METRICS),
        "verification": Verification(dataset, 260, (HOSTILE,), True, True, 1.5, METRICS),
        "forecast": Forecast({HOSTILE: SplitForecast(10, 1, 1000, 1000)}, 10, 5, {"read": 0.5}, 10**10),
        "audit": AuditReport("out", HOSTILE, 10, ()),
        "comparison": Comparison(
            CompareSpec(ReadSpec(f"folder:{HOSTILE}"), "work", ("pbe",)), "plain", {"train": 9, "test": 1}, ()
        ),
        "train": TrainResult(HOSTILE, DATA, "m.keras", "none", 2, {"train": 1, "validation": 0.5}, 3.0, False),
        "evaluate": Evaluation(DATA, 0.5, 1.25, 60),
        "predict": Prediction(HOSTILE, HOSTILE, 0.75),
        "run": DemoResult(HOSTILE, (Step("keys", Prediction("", "", 0), 1.0, True, HOSTILE),), 0.5, 0.75, "none", None),
        "stats": StatisticsTable(500, (STATISTICS,)),
        "doctor": DoctorReport((Check("disk", "fault", HOSTILE, HOSTILE),)),
    }  # fmt: skip
    return results[request.param]


def test_a_result_is_a_table_in_which_all_is_escaped(result):
    shown = result._repr_html_()
    assert "<script" not in shown
    assert ESCAPED in shown
    assert re.fullmatch(r"<table><caption>.*</caption>.*</table>", shown)
    if hasattr(result, "properties"):
        assert shown.count("<tr>") == len(result.properties())
    else:
        headings, rows = result.table()
        assert shown.count("<tr>") == len(rows) + 1
        assert {len(row) for row in rows} <= {len(headings)}


def test_rows_say_what_was_done(dataset):
    rows = JobResult(dataset, skipped=False, seconds=1.5, metrics=METRICS).properties()
    assert rows["train"] == "200 images, 3 shards, 0.2 MB"
    assert rows["cipher"] == "lpe-100, one key per dataset"
    assert rows["key"] == "patients 17"
    assert rows["work"] == "8 shards, 2 of them finished before; all workers together: read 1.00 s"
    assert rows["time"] == "1.5 s"
    verified = Verification(dataset, 260, (), with_key=True, compared=False, seconds=1.5).properties()
    assert verified["checked"].endswith("ids; key")
    assert verified["result"] == "ok"


def test_a_grid_is_its_picture_while_that_is_there(tmp_path):
    path = tmp_path / "grid.png"
    Image.new("RGB", (4, 4)).save(path)
    grid = Grid(str(path), (Column("test-0000001", HOSTILE),))
    assert re.fullmatch(rf'<img src="data:image/png;base64,[\w+/=]+" alt="{ESCAPED}">', grid._repr_html_())
    path.unlink()
    assert "grid.png" in grid._repr_html_()
    assert "<img" not in grid._repr_html_()
