"""One input tried: it ends in a result or in an error of one line, soon, and in little memory."""

import contextlib
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from lpe.transforms.errors import LpeError

SECONDS = 20
MEMORY = 1 << 30
"""Bytes of address space beyond what the process has."""

T = TypeVar("T")


class HangError(Exception):
    """An input that took too long."""


def trial(function: Callable[[], T], *, seconds: int = SECONDS, memory: int = MEMORY) -> T | None:
    """The function's result; None where it raised an LpeError of one line. Any other exception is a defect."""
    try:
        with limits(seconds, memory):
            return function()
    except LpeError as error:
        check_line(str(error))
    return None


def check_line(line: str) -> None:
    """Fails unless a message is one line that can be printed, and not too long to read."""
    assert line.splitlines() == [line], f"not one line: {line!r}"
    assert all(letter >= " " and letter != "\x7f" for letter in line), f"control characters: {line!r}"
    line.encode()
    assert len(line) < 2000, f"{len(line)} characters: {line[:100]!r}"


@contextlib.contextmanager
def limits(seconds: int = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """A context that ends in HangError or MemoryError beyond its limits; for the main thread."""

    def stop(*_: object) -> None:
        raise HangError(f"more than {seconds} s")

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
