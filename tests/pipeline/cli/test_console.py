"""What a report prints: for people, for machines, and while the work goes on."""

from __future__ import annotations

import json
import time

import pytest

from lpe.pipeline.cli import ticker
from lpe.pipeline.cli.console import Report, properties_table, rows_table
from lpe.pipeline.engine.progress import Progress
from lpe.transforms.tables import megabytes


@pytest.fixture(autouse=True)
def _silence_afterwards():
    yield
    Report.stop_all()


def test_a_result_for_machines_is_one_object(capsys):
    report = Report("keys list", as_json=True)
    report.note("not shown")
    with report.progress("keys list") as update:
        update(1, 2)
    report.result({"name": "x"}, properties_table("t", {"a": "b"}), lines=("not shown",))
    captured = capsys.readouterr()
    value = json.loads(captured.out)
    assert (value["command"], value["status"], value["name"]) == ("keys list", "ok", "x")
    assert value["seconds"] >= 0
    assert captured.err == ""


def test_a_result_may_have_another_status(capsys):
    Report("verify", as_json=True).result({"status": "error", "error": "why"})
    assert json.loads(capsys.readouterr().out)["status"] == "error"


def test_a_result_for_people(capsys):
    report = Report("show", as_json=False)
    report.note("[0] is no markup")
    table = rows_table("title", ["one", "two"], [["first", "second"]])
    report.result({"name": "x"}, properties_table("t", {"size": megabytes(2_500_000)}), table, lines=("end",))
    captured = capsys.readouterr()
    assert captured.err == "[0] is no markup\n"
    for text in ("2.5 MB", "title", "first", "second", "end"):
        assert text in captured.out
    assert '"name"' not in captured.out


def test_a_source_is_not_taken_for_an_emoji(capsys):
    report = Report("compare", as_json=False)
    report.note("synthetic:100: 90 images")
    report.result(
        {}, rows_table("synthetic:100: a title", ["a"], [["synthetic:100:"]]), lines=("synthetic:100:",)
    )
    captured = capsys.readouterr()
    assert (captured.out + captured.err).count("synthetic:100:") == 4


def test_progress_off_a_terminal_is_a_line_after_some_silence(capsys, monkeypatch):
    monkeypatch.setattr(ticker, "SECONDS", 0.2)
    report = Report("ingest", as_json=False)
    with report.progress("ingest") as update:
        update(1000, 2000)
        time.sleep(0.5)
    report.stop()
    lines = capsys.readouterr().err.splitlines()
    assert "ingest: 1,000 of 2,000 images" in lines[0]
    time.sleep(0.3)
    assert capsys.readouterr().err == ""


def test_nothing_is_added_where_something_was_written_just_now(capsys, monkeypatch):
    monkeypatch.setattr(ticker, "SECONDS", 0.4)
    report = Report("train", as_json=False)
    for _ in range(8):
        report.note("a line")
        time.sleep(0.1)
    Report.stop_all()
    assert set(capsys.readouterr().err.splitlines()) == {"a line"}


def test_what_goes_on_spins_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    report = Report("train", as_json=False)
    report.status("loading TensorFlow")
    report.status("epoch 1 of 2")
    report.note("a line")
    report.stop()
    err = capsys.readouterr().err
    assert "a line" in err
    assert "epoch 1 of 2" in err


def test_a_report_is_what_jobs_report_to(capsys):
    report: Progress = Report("train", as_json=False)
    report.epoch(1, 3, {"accuracy": 0.5, "val_accuracy": 0.25}, 1234.5)
    assert capsys.readouterr().err == "epoch 1/3: accuracy 50.0%, validation 25.0%, 1,234 images/s\n"
