"""Output of the command: tables and lines for people, one JSON object for machines."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

import lpe

if TYPE_CHECKING:
    from lpe.pipeline.engine.metrics import JobMetrics
    from lpe.pipeline.engine.progress import Update

_SECONDS_BETWEEN_LINES = 5.0
_MOST_CLASSES = 20  # listed whole; of more, the first
_FIRST_CLASSES = 10


class Report:
    """The results and the progress of one command, on standard output and standard error.

    Implements `lpe.pipeline.engine.progress.Progress`.

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
        """Prints the command's result.

        Args:
          value: the JSON fields; `status` is `ok` and `seconds` this command's unless they say otherwise.
          tables: for people.
          lines: for people, below the tables.
        """
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
        """Prints that a job was staged as a template, and where its dataset will be."""
        line = (
            f"staged as {template}; the job, once it is started from there, writes the next version of {home}"
        )
        self.result({"status": "staged", "template": template, "home": home}, lines=(line,))

    def note(self, line: str) -> None:
        """Prints a line about the work that goes on, for people."""
        if not self.as_json:
            self._err.print(line, soft_wrap=True, markup=False)

    def epoch(self, epoch: int, epochs: int, logs: Mapping[str, float], images_per_second: float) -> None:
        """Prints the metrics of a finished epoch of training."""
        self.note(
            f"epoch {epoch}/{epochs}: accuracy {logs['accuracy']:.1%}, validation {logs['val_accuracy']:.1%}, "
            f"{images_per_second:,.0f} images/s"
        )

    @contextlib.contextmanager
    def progress(self, title: str, unit: str = "images") -> Iterator[Update]:
        """Shows a bar on a terminal, a plain line now and then otherwise, nothing with JSON."""
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


def properties_table(title: str, properties: Mapping[str, str]) -> Table:
    """A table of two columns: a property and its value a line."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in properties.items():
        table.add_row(Text(name), Text(value))
    return table


def rows_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table with a heading above each column."""
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # what looks like markup, say in a path, is none
    return table


def megabytes(size: int) -> str:
    """A size in bytes as people read it."""
    return f"{size / 1e6:,.1f} MB"


def job_table(command: str, result: lpe.JobResult) -> Table:
    """The summary of a job that wrote a dataset, or found it written."""
    dataset = result.dataset
    properties = {"dataset": dataset.directory}
    copies = [copy for split in dataset.splits for copy in dataset.copies(split)]
    for name, split in dataset.splits.items():
        shards, size = len(split.shard_lengths), megabytes(split.num_bytes)
        properties[name] = f"{split.examples:,} images, {shards} shards, {size}"
        if dataset.class_counts is not None and name not in copies:
            properties[name] += f"\n{_class_counts(dataset.class_counts[name])}"
    if dataset.augmentation is not None:
        properties["augmented"] = _augmented(dataset, dataset.augmentation)
    if dataset.encryption is not None:
        key = dataset.encryption["key"]
        properties["cipher"] = f"{dataset.encryption['cipher']}, one key per {dataset.encryption['scope']}"
        properties["key"] = f"{key['name']} {key['id']}"
    if result.bad_records:
        properties["skipped"] = f"{result.bad_records:,} bad records, listed in bad_records.jsonl"
    if result.metrics is not None:
        properties["work"] = work_done(result.metrics)
    properties["time"] = "nothing to do" if result.skipped else f"{result.seconds:.1f} s"
    return properties_table(command, properties)


def _class_counts(counts: Mapping[str, int]) -> str:
    """Classes with their images: `10 classes: cat (500), dog (480), …`; of many the first, the least, the most."""
    shown = counts if len(counts) <= _MOST_CLASSES else dict(itertools.islice(counts.items(), _FIRST_CLASSES))
    text = f"{len(counts):,} classes: " + ", ".join(f"{name} ({images:,})" for name, images in shown.items())
    if len(shown) == len(counts):
        return text
    fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    return (
        f"{text}, … and {len(counts) - len(shown):,} more; fewest: {fewest} ({counts[fewest]:,}), most: {most} "
        f"({counts[most]:,})"
    )


def tfds_lines(dataset: lpe.Dataset) -> tuple[str, ...]:
    """The line of Python by which TFDS reads a dataset; none for a sealed one."""
    if dataset.sealed:
        return ()
    directory, split = json.dumps(dataset.directory, ensure_ascii=False), next(iter(dataset.splits))
    return (f'read it with TFDS: tfds.builder_from_directory({directory}).as_dataset(split="{split}")',)


def work_done(metrics: JobMetrics) -> str:
    """The work of all workers together: `8 shards; all workers together: read 0.12 s, transform 0.31 s, …`."""
    kept = f", {metrics.kept_shards:,} of them finished before" if metrics.kept_shards else ""
    phases = ", ".join(f"{phase} {seconds.total:,.2f} s" for phase, seconds in metrics.seconds.items())
    return f"{metrics.shards:,} shards{kept}" + (f"; all workers together: {phases}" if phases else "")


def forecast_table(title: str, forecast: lpe.Forecast) -> Table:
    """The summary of a dry run."""
    properties = {
        name: f"{split.examples:,} images, {_size(split.bytes)}; shards: {split.shards:,}, at most "
        f"{_size(split.largest_shard)} each"
        for name, split in forecast.splits.items()
    }
    phases = ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in forecast.seconds.items())
    speed = f"{forecast.images_per_second:,.0f} images/s, {forecast.bytes_per_second / 1e6:,.0f} MB/s"
    properties |= {
        "plan": f"{_size(forecast.plan_bytes)} in the pipeline's graph",
        "measured here": f"{forecast.sample:,} images on one core: {phases}",
        "a core does": speed,
        "all of it takes": f"{_duration(forecast.core_seconds)} of one core, and what storage takes",
        "peak memory": f"{_size(forecast.peak_memory)}, plan and a batch included",
    }
    return properties_table(title, properties)


def _size(size: int) -> str:
    return megabytes(size) if size < 10_000_000_000 else f"{size / 1e9:,.1f} GB"


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 3600:,.1f} hours"


def _augmented(dataset: lpe.Dataset, augmentation: Mapping[str, Any]) -> str:
    """The size of the augmented copies, and what they are."""
    copies = dataset.copies(augmentation["split"])
    total = sum(dataset.splits[name].num_bytes for name in copies)
    return (
        f"{len(copies)} × {megabytes(total // len(copies))} = {megabytes(total)} more, for copies of "
        f"{augmentation['split']} ({', '.join(augmentation['kinds'])}; seed {augmentation['seed']})"
    )
