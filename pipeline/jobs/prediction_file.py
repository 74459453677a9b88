"""A file of predictions: CSV or JSON lines, as its name says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lpe.pipeline import storage
from lpe.transforms.errors import UsageError

if TYPE_CHECKING:
    from lpe.pipeline.jobs.predict import Prediction

_FIELDS = ("path", "label", "probability")
_CSV, _JSON_LINES = ".csv", ".jsonl"


def check_name(path: str) -> None:
    """Raises UsageError unless the name ends in `.csv` or `.jsonl`."""
    if not path.lower().endswith((_CSV, _JSON_LINES)):
        raise UsageError(f"--output {path}: give a file name that ends in {_CSV} or {_JSON_LINES}")


def write(path: str, predictions: Sequence[Prediction]) -> None:
    """Writes predictions, one a line, whole or not at all.

    Args:
      path: the file, of a name that `check_name` takes.
      predictions: in the order of the lines.
    """
    rows = [prediction.to_json() for prediction in predictions]
    text = io.StringIO()
    if path.lower().endswith(_CSV):
        writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        text.writelines(json.dumps(row) + "\n" for row in rows)
    # A file name need not be UTF-8: its bytes are written as they are.
    storage.write_atomic(path, text.getvalue().encode("utf-8", "surrogateescape"))
