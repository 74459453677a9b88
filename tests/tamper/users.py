"""Two users of one machine, whose commands run in processes of their own; only root can make them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
OWNER, ADVERSARY = 61001, 61002
"""Numbers that no account has."""

_SESSION = """
import json, os, sys
from lpe.pipeline.cli.app import main
for line in sys.stdin:
    try:
        code = main(json.loads(line))
    except SystemExit as error:
        code = error.code
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    print(f"\\nended {code}", flush=True)
"""

_WATCH = """
import base64, json, os, sys
stop, uid, *places = sys.argv[1:]
seen = {}
def look(path):
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            seen.setdefault(path, base64.b64encode(file.read(1 << 20)).decode())
    except OSError:
        pass
print("watching", flush=True)
while not os.path.exists(stop):
    for place in places:
        look(place)
        for folder, _, names in os.walk(place):
            for name in names:
                look(os.path.join(folder, name))
    for number in os.listdir("/proc"):
        try:
            if number.isdigit() and os.stat("/proc/" + number).st_uid == int(uid):
                for name in ("cmdline", "environ"):
                    look(f"/proc/{number}/{name}")
                for name in os.listdir(f"/proc/{number}/fd"):
                    look(f"/proc/{number}/fd/{name}")
        except OSError:
            pass
json.dump(seen, sys.stdout)
"""


@dataclasses.dataclass(frozen=True)
class Ended:
    """What a command of a user's did: exit code, and all that it printed."""

    code: int
    printed: str


@dataclasses.dataclass(frozen=True)
class User:
    """An account.

    Attributes:
      uid: its number, and that of its only group.
      folder: belongs to it; others can look into it.
      temporary: its TMPDIR.
    """

    uid: int
    folder: Path
    temporary: Path

    def start(self, *words: str, umask: int = 0o022, **environment: str) -> subprocess.Popen[str]:
        """Starts Python with these words, and variables besides."""
        account: dict[str, Any] = {"user": self.uid, "group": self.uid, "extra_groups": []}
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            [sys.executable, *words],
            **({} if self.uid == os.geteuid() else account),
            umask=umask,
            cwd=CHECKOUT,
            env=own | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *commands: tuple[object, ...], umask: int = 0o022, seconds: float = 120) -> list[Ended]:
        """Runs commands of `lpe`, one after the other, in one process."""
        lines = "".join(json.dumps([str(word) for word in words]) + "\n" for words in commands)
        process = self.start("-c", _SESSION, umask=umask)
        try:
            printed, _ = process.communicate(lines, timeout=seconds)
        finally:
            process.kill()
        ended, part = [], ""
        for line in printed.splitlines():
            if line.startswith("ended "):
                ended.append(Ended(int(line.split()[1]), part.strip()))
                part = ""
            else:
                part += line + "\n"
        assert len(ended) == len(commands), printed
        return ended

    def write(self, path: Path, content: bytes, mode: int = 0o644) -> Path:
        """Writes a file of this user's."""
        path.write_bytes(content)
        path.chmod(mode)
        os.chown(path, self.uid, self.uid)
        return path

    def make(self, path: Path, mode: int = 0o755) -> Path:
        """Makes a directory of this user's."""
        path.mkdir()
        path.chmod(mode)
        os.chown(path, self.uid, self.uid)
        return path

    def link(self, path: Path, to: Path) -> Path:
        """Makes a link of this user's."""
        path.symlink_to(to)
        os.chown(path, self.uid, self.uid, follow_symlinks=False)
        return path

    def pipe(self, path: Path) -> Path:
        """Makes a named pipe of this user's that everybody may open."""
        os.mkfifo(path)
        path.chmod(0o666)
        os.chown(path, self.uid, self.uid)
        return path


@contextlib.contextmanager
def watching(spy: User, victim: User, *places: Path) -> Iterator[dict[str, str]]:
    """The spy tries, all the time, to read everything below these places and of the victim's processes.

    Yields:
      When the block has ended: what could be read, in base64, by path.
    """
    stop = spy.folder / "stop"
    process = spy.start("-c", _WATCH, str(stop), str(victim.uid), *map(str, places))
    seen: dict[str, str] = {}
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        yield seen
        spy.write(stop, b"")
        seen.update(json.loads(process.communicate(timeout=60)[0]))
    finally:
        process.kill()
        stop.unlink(missing_ok=True)


def check_possible() -> None:
    """Skips a test where there are no two users to be had."""
    if os.geteuid() != 0:
        pytest.skip("only root can run commands as two other users")
    words = [sys.executable, "-c", "import lpe.pipeline.storage"]
    try:
        tried = subprocess.run(
            words,
            user=ADVERSARY,
            group=ADVERSARY,
            extra_groups=[],
            cwd=CHECKOUT,
            capture_output=True,
            check=False,
        )
    except PermissionError:
        tried = None
    if tried is None or tried.returncode != 0:
        pytest.skip("other users cannot read the interpreter, its packages or the checkout")
