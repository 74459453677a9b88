"""What a source holds and is not read: counts by kind, for the notes that its user sees."""

from __future__ import annotations

from pathlib import PurePosixPath

from lpe.pipeline.storage.documents import is_plain_text

LINKS = "symbolic links not followed"
HARD_LINKS = "links in the archive not followed"
SPECIAL = "devices, pipes and sockets passed over"
HIDDEN = "hidden files passed over"
BESIDE = "files beside the class directories, no images, passed over"
DEEPER = "images deeper than their class directory, whose class is the first directory of the class level"
EMPTY = "class directories without an image, which are no classes"
UNLISTED = "images that the table of labels does not name, passed over"
UNLISTED_OTHERS = "files that are no images and that the table of labels does not name, passed over"
_MOST_SHOWN = 200


class PassedOver:
    """Counts by kind, with the first name of each in the order of names."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, name: str, count: int = 1) -> None:
        """Counts `count` more of a kind, of which `name` is the first."""
        before, first = self._found.get(kind, (0, name))
        self._found[kind] = before + count, min(first, name)

    def notes(self) -> tuple[str, ...]:
        """A line for each kind that there is."""
        return tuple(
            f"{kind}: {count:,} ({'it is' if count == 1 else 'the first is'} {_shown(first)})"
            for kind, (count, first) in self._found.items()
        )


def _shown(name: str) -> str:
    shown = name if is_plain_text(name) else ascii(name)
    return shown if len(shown) <= _MOST_SHOWN else f"…/{PurePosixPath(shown).name[-_MOST_SHOWN:]}"
