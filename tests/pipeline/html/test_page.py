"""Templates: what is put in is escaped, what is missing is an error, and narrow and wide windows do."""

from __future__ import annotations

import jinja2
import pytest

from lpe.pipeline.html.chart import Chart, chart
from lpe.pipeline.html.page import render
from tests.browser import layout_widths, needs_chromium


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="report"):
        render("audit", sections=[])


def test_a_file_name_that_is_no_unicode_can_be_shown(tmp_path):
    report = {"images": 10, "source": "folder:\udcff<b>"}
    page = render("audit", report=report, sections=[]).decode()
    assert "folder:&#56575;&lt;b&gt;" in page


def test_a_chart_places_the_first_and_the_last_epoch_at_its_ends():
    drawn = chart("accuracy", {"training": [0.0, 0.5, 1.0]}, top=1.0, marked=3)
    middle = (Chart.left + Chart.right) / 2, (Chart.top + Chart.bottom) / 2
    assert drawn.lines["training"] == [(Chart.left, Chart.bottom), middle, (Chart.right, Chart.top)]
    assert drawn.marked == Chart.right
    assert [text for _, text in drawn.x_ticks] == ["1", "2", "3"]
    assert [text for _, text in drawn.y_ticks] == ["0", "0.25", "0.5", "0.75", "1"]


@pytest.mark.parametrize(
    ("largest", "top"), [(0.0, "1"), (2.3, "4"), (0.09, "0.1"), (10.0, "10"), (1e300, "1e+300")]
)
def test_a_chart_chooses_a_round_top(largest, top):
    drawn = chart("loss", {"training": [largest], "validation": [0.0]})
    assert drawn.y_ticks[-1] == (Chart.top, top)
    assert Chart.top <= drawn.lines["training"][0][1] <= Chart.bottom


def test_many_epochs_have_few_numbers():
    assert len(chart("loss", {"training": [1.0] * 500}).x_ticks) <= 6


@needs_chromium
def test_a_page_that_is_too_wide_is_noticed(tmp_path):
    page = tmp_path / "wide.html"
    page.write_text('<body style="margin: 0"><div style="width: 700px">x</div>')
    assert layout_widths([page], tmp_path) == [[700, 1280]]
