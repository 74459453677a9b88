"""Output of the command: tables and lines for people, one JSON object for machines."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from lpe.pipeline.cli.ticker import Ticker
from lpe.train.progress import describe_epoch

if TYPE_CHECKING:
    import lpe
    from lpe.pipeline.engine.progress import Update


class Report:
    """The results and the progress of one command, on standard output and standard error.

    Implements `lpe.pipeline.engine.progress.Progress`. Off a terminal a thread writes a line every few seconds, from
    the start until the result; `Report.stop_all` ends it where there is none.

    Args:
      command: its name, e.g. `keys create`.
      as_json: print one JSON object on standard output and nothing else there.
    """

    _unfinished: ClassVar[list[Report]] = []

    def __init__(self, command: str, *, as_json: bool) -> None:
        self.command = command
        self.as_json = as_json
        self._started = time.monotonic()
        self._out = Console(highlight=False, emoji=False)
        self._err = Console(stderr=True, highlight=False, emoji=False)
        self._spinner: Status | None = None
        self._ticker = None if as_json or self._err.is_terminal else Ticker(self._write, command)
        self._unfinished.append(self)

    @classmethod
    def stop_all(cls) -> None:
        """Ends the progress of every report, since its command is over."""
        while cls._unfinished:
            cls._unfinished.pop().stop()

    def stop(self) -> None:
        """Ends the progress."""
        self._stop_spinner()
        if self._ticker is not None:
            self._ticker.stop()

    def result(self, value: Mapping[str, Any], *tables: Table, lines: tuple[str, ...] = ()) -> None:
        """Prints the command's result.

        Args:
          value: the JSON fields; `status` is `ok` and `seconds` this command's unless they say otherwise.
          tables: for people.
          lines: for people, below the tables.
        """
        self.stop()
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
            self._write(line)

    def status(self, line: str) -> None:
        """Shows what goes on now: on a terminal at once, elsewhere if nothing else is written for some seconds."""
        if self._ticker is not None:
            self._ticker.say(line)
        elif not self.as_json:
            if self._spinner is None:
                self._spinner = self._err.status("")
                self._spinner.start()
            self._spinner.update(Text(line))

    def epoch(self, epoch: int, epochs: int, logs: Mapping[str, float], images_per_second: float) -> None:
        """Prints the metrics of a finished epoch of training."""
        self.note(describe_epoch(epoch, epochs, logs, images_per_second))

    @contextlib.contextmanager
    def progress(self, title: str, unit: str = "images") -> Iterator[Update]:
        """Shows a bar on a terminal, a plain line every few seconds otherwise, nothing with JSON."""
        if self.as_json:
            yield lambda done, total: None
        elif self._ticker is None:
            self._stop_spinner()
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
            self.status(title)
            yield lambda done, total: self.status(f"{title}: {done:,} of {total:,} {unit}")

    def _write(self, line: str) -> None:
        self._err.print(line, soft_wrap=True, markup=False)
        if self._ticker is not None:
            self._ticker.written()

    def _stop_spinner(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None


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


def reading_lines(dataset: lpe.Dataset) -> tuple[str, ...]:
    """The line of Python by which TFDS, or Hugging Face's `datasets`, reads a dataset; none for a sealed one."""
    if dataset.sealed:
        return ()
    directory, split = json.dumps(dataset.directory, ensure_ascii=False), next(iter(dataset.splits))
    if dataset.format.file_format == "parquet":
        return (f"read it with Hugging Face: datasets.load_dataset({directory})",)
    return (f'read it with TFDS: tfds.builder_from_directory({directory}).as_dataset(split="{split}")',)
