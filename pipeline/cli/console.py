"""What the command prints: tables and lines for people, one JSON object for machines."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from lpe.pipeline.dataset.layout import copy_split

_SECONDS_BETWEEN_LINES = 5.0

Update = Callable[[int, int], None]


class Report:
    """Where one command's results go.

    Args:
      command: its name, e.g. `keys create`.
      as_json: print one JSON object on standard output and nothing else there.
    """

    def __init__(self, command: str, *, as_json: bool) -> None:
        self.command = command
        self.as_json = as_json
        self._started = time.monotonic()
        self._out = Console(highlight=False)
        self._err = Console(stderr=True, highlight=False)

    def result(self, value: Mapping[str, Any], *tables: Table, lines: tuple[str, ...] = ()) -> None:
        """Prints what the command did; `status` is `ok` unless `value` says otherwise."""
        if self.as_json:
            seconds = round(time.monotonic() - self._started, 3)
            whole = {"command": self.command, "status": "ok", "seconds": seconds, **value}
            sys.stdout.write(json.dumps(whole) + "\n")
            return
        for table in tables:
            self._out.print(table)
        for line in lines:
            self._out.print(line, soft_wrap=True, markup=False)

    def staged(self, template: str, home: str) -> None:
        """Says that a job was staged as a template, and where its dataset will be."""
        line = (
            f"staged as {template}; the job, once it is started from there, writes the next version of {home}"
        )
        self.result({"status": "staged", "template": template, "home": home}, lines=(line,))

    def note(self, line: str) -> None:
        """A line about the work going on, for people."""
        if not self.as_json:
            self._err.print(line, soft_wrap=True, markup=False)

    def epoch(self, epoch: int, epochs: int, logs: Mapping[str, float], images_per_second: float) -> None:
        """One line an epoch of training."""
        self.note(
            f"epoch {epoch}/{epochs}: accuracy {logs['accuracy']:.1%}, validation {logs['val_accuracy']:.1%}, "
            f"{images_per_second:,.0f} images/s"
        )

    @contextlib.contextmanager
    def progress(self, title: str, unit: str = "images") -> Iterator[Update]:
        """A bar on a terminal, a plain line now and then otherwise, nothing with JSON."""
        if self.as_json:
            yield lambda done, total: None
        elif self._err.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(unit),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self._err, transient=True) as bar:
                task = bar.add_task(title, total=None)
                yield lambda done, total: bar.update(task, completed=done, total=total)
        else:
            yield _lines(lambda text: self._err.print(text, markup=False), title, unit)


def _lines(write: Callable[[str], None], title: str, unit: str) -> Update:
    last = time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            write(f"{title}: {done:,} of {total:,} {unit}")

    return update


def facts(title: str, rows: Mapping[str, str]) -> Table:
    """A two-column table: what, and its value."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def columns(title: str, names: list[str], rows: list[list[str]]) -> Table:
    """A table with a header."""
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def megabytes(size: int) -> str:
    """A size as people read it."""
    return f"{size / 1e6:,.1f} MB"


def job_table(command: str, result: Mapping[str, Any]) -> Table:
    """The summary of a job that wrote (or had written) a dataset."""
    rows = {"dataset": str(result["dataset"])}
    for name, split in result["splits"].items():
        rows[name] = f"{split['examples']:,} images, {split['shards']} shards, {megabytes(split['bytes'])}"
    if "augmentation" in result:
        rows["augmented"] = _cost(result)
    if "cipher" in result:
        rows["cipher"] = f"{result['cipher']}, one key per {result['scope']}"
        rows["key"] = f"{result['key']['name']} {result['key']['id']}"
    if result["bad_records"]:
        rows["skipped"] = f"{result['bad_records']:,} bad records, listed in bad_records.jsonl"
    if result.get("metrics") is not None:
        rows["work"] = work_done(result["metrics"])
    rows["time"] = "nothing to do" if result["status"] == "skipped" else f"{result['seconds']:.1f} s"
    return facts(command, rows)


def work_done(metrics: Mapping[str, Any]) -> str:
    """What all workers together did, from a job's metrics: `8 shards: read 0.12 s, transform 0.31 s, …`."""
    kept = f", {metrics['kept_shards']:,} of them finished before" if metrics["kept_shards"] else ""
    stages = ", ".join(f"{stage} {seconds['total']:,.2f} s" for stage, seconds in metrics["seconds"].items())
    return f"{metrics['shards']:,} shards{kept}" + (f"; all workers together: {stages}" if stages else "")


def forecast_rows(value: Mapping[str, Any]) -> dict[str, str]:
    """The table of a dry run."""
    rows = {
        name: f"{split['examples']:,} images, {_size(split['bytes'])}; shards: {split['shards']:,}, at most "
        f"{_size(split['largest_shard'])} each"
        for name, split in value["splits"].items()
    }
    rows["plan"] = f"{_size(value['plan_bytes'])} in the pipeline's graph"
    sample = value["sample"]
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in sample["seconds"].items())
    rows["measured here"] = f"{sample['images']:,} images on one core: {stages}"
    rows["a core does"] = (
        f"{value['images_per_second']:,.0f} images/s, {value['bytes_per_second'] / 1e6:,.0f} MB/s"
    )
    rows["all of it takes"] = f"{_duration(value['core_seconds'])} of one core, and what storage takes"
    rows["peak memory"] = f"{_size(value['peak_memory'])}, plan and a batch included"
    return rows


def _size(size: int) -> str:
    return megabytes(size) if size < 10_000_000_000 else f"{size / 1e9:,.1f} GB"


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 3600:,.1f} hours"


def _cost(result: Mapping[str, Any]) -> str:
    """What the augmented copies take."""
    made = result["augmentation"]
    copies = [copy_split(made["split"], copy) for copy in range(1, made["copies"] + 1)]
    total = sum(result["splits"][name]["bytes"] for name in copies)
    return (
        f"{len(copies)} × {megabytes(total // len(copies))} = {megabytes(total)} more, for copies of "
        f"{made['split']} ({', '.join(made['kinds'])}; seed {made['seed']})"
    )
