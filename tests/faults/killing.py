"""`lpe` commands that die, or whose files fail, at a chosen file event, and what they leave behind."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_STRAYS = ("**/.tmp-*", "**/_work", "**/beam-pipeline-temp*", "**/partial*", "tmp/*")
KILLED = -9


@dataclasses.dataclass(frozen=True)
class Run:
    """A command that ended.

    Attributes:
      code: its exit code; `KILLED` if it was killed.
      out, err: what it printed.
      events: its file events, e.g. `rename data/shapes/1.0.0`, without the place's own path.
    """

    code: int
    out: str
    err: str
    events: tuple[str, ...]


class Commands:
    """Runs commands that work in one place, a directory.

    The place has a folder `tmp`, which is their TMPDIR. What it was like at a `snapshot` can be brought back.

    Args:
      parent: a process of `tests.faults.run`.
      root: an empty directory of this object's own.
    """

    def __init__(self, parent: subprocess.Popen[bytes], root: Path) -> None:
        self._parent = parent
        self._root = root
        self.place = root / "place"
        (self.place / "tmp").mkdir(parents=True)

    def run(self, *words: object, at: int | None = None, **plan: Any) -> Run:
        """Runs `lpe` with these words, in which `@` stands for the place.

        Args:
          at: the number of the file event at which it is killed.
          **plan: other fields of `events.Plan`.
        """
        log, out, err = (self._root / name for name in ("events", "out", "err"))
        log.unlink(missing_ok=True)
        request = {
            "words": [str(word).replace("@", str(self.place)) for word in words],
            "environment": {"TMPDIR": str(self.place / "tmp")},
            "out": str(out),
            "err": str(err),
            "plan": {"directories": [f"{self.place}/"], "log": str(log), "at": at, **plan},
        }
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(request).encode() + b"\n")
        self._parent.stdin.flush()
        code = int(self._parent.stdout.readline())
        events = log.read_text().replace(f"{self.place}/", "").splitlines() if log.exists() else []
        return Run(code, out.read_text(), err.read_text(), tuple(events))

    def done(self, *words: object) -> Run:
        """Runs `lpe`, which must succeed."""
        run = self.run(*words)
        assert run.code == 0, run
        return run

    def snapshot(self, name: str) -> Path:
        """Remembers the place as it is; returns the copy."""
        copy = self._root / name
        shutil.copytree(self.place, copy, symlinks=True)
        return copy

    def restore(self, name: str) -> None:
        """Makes the place what it was at the snapshot."""
        shutil.rmtree(self.place)
        shutil.copytree(self._root / name, self.place, symlinks=True)

    def strays(self) -> list[str]:
        """What nobody will look at again."""
        found = {path for pattern in _STRAYS for path in self.place.glob(pattern)}
        return sorted(str(path.relative_to(self.place)) for path in found)


@contextlib.contextmanager
def warm(*what: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs commands in forks of itself; with `train` it has imported Keras."""
    command = [sys.executable, "-m", "tests.faults.run", *what]
    parent = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield parent
    finally:
        assert parent.stdin is not None
        parent.stdin.close()
        parent.wait()


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, by its path in it."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def passing(event: str) -> bool:
    """Whether a library removes at this event what it made the moment before.

    Python tries TMPDIR with a file of four bytes; Beam makes an empty directory that it has no use for. Neither
    can be had otherwise, and a fault between the two leaves what the system's own tidying of TMPDIR removes.
    """
    verb, path = event.split(" ", 1)
    return path.startswith("tmp/") and verb in ("remove", "rmdir")


def budget(default: int = 30) -> int:
    """How many kills there are to be in all: LPE_FAULT_KILLS."""
    return int(os.environ.get("LPE_FAULT_KILLS", default))


def sample(count: int, most: int) -> Sequence[int]:
    """At most `most` of the numbers 1..count, evenly spread."""
    most = min(count, most)
    return [1 + (2 * i + 1) * count // (2 * most) for i in range(most)]
