"""The mark of a version that a newer one has replaced: retired.json, written beside its other files."""

from __future__ import annotations

import datetime

from lpe.pipeline import clock, storage
from lpe.pipeline.dataset import checksummed
from lpe.pipeline.dataset.layout import RETIRED_FILE, VERSION
from lpe.pipeline.storage.documents import parse_document, read_content

_REMEDY = "delete it, and the time counts anew"


def write_mark(directory: str, replaced_by: str) -> None:
    """Marks a version as replaced, now, by version `replaced_by`."""
    mark = {"retired": clock.stamp(), "replaced_by": replaced_by}
    storage.write_atomic(storage.join(directory, RETIRED_FILE), checksummed.with_checksum(mark))


def read_mark(directory: str, *, checksum_required: bool) -> datetime.datetime | None:
    """When a version was marked, in UTC; None if it is not marked.

    Args:
      directory: the version's.
      checksum_required: whether the mark must have one; the first ones had none.

    Raises:
      DataError: the mark is damaged.
    """
    path = storage.join(directory, RETIRED_FILE)
    if not storage.exists(path):
        return None
    content = read_content(path, _REMEDY)
    fields = parse_document(content, path, _REMEDY)
    fields.only("retired", "replaced_by", "sha256")
    if checksum_required or fields.has("sha256"):
        checksummed.check(fields, content)
    fields.text("replaced_by", VERSION)
    try:
        return clock.parse_stamp(fields.text("retired"))
    except ValueError:
        fields.refuse("'retired' is no time")
