"""Running jobs as a user does, and looking at what they leave behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.sources.plan import plan_dataset


def contents(home: Path) -> dict[str, tuple[bytes, int]]:
    """Every example of a dataset: id -> (image bytes, label)."""
    out = {}
    for task in plan_dataset(open_dataset(str(home))).tasks:
        for batch in task.reader.batches(lambda bad: pytest.fail(str(bad))):
            for name, image, label in zip(batch.ids, batch.images, batch.labels, strict=True):
                assert name not in out
                out[name] = (image.tobytes(), int(label))
    return out


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()
    }


def encrypting(keystore, source, home) -> tuple[object, ...]:
    """The words of an encryption."""
    return ("encrypt", "--source", source, "--output", home, "--keystore", keystore, "--key", "patients")


def encrypt(lpe, keystore, source, home, *more):
    return lpe(*encrypting(keystore, source, home), "--json", *more)


def policy(keystore, *homes, retire_after="7d") -> tuple[object, ...]:
    """The words of a scheduled re-encryption."""
    told = ("--if-due", "--retire-after", retire_after, "--destroy-keys", "--json")
    return ("reencrypt", *homes, "--keystore", keystore, *told)


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lpe", *(str(word) for word in words)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has Ctrl-C ignored, and so would the child.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  (no threads yet)
    )


def wait_for_receipts(home: Path, count: int, process: subprocess.Popen[str]) -> list[Path]:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        receipts = list(home.glob("_work/*/receipts/[!.]*.json"))
        if len(receipts) >= count:
            return receipts
        time.sleep(0.002)
    pytest.fail(f"no receipts: {process.communicate()}")


def refused(outcome, *parts: str, code: int = 1) -> None:
    """One clear line, nothing else, the expected exit code."""
    assert outcome.code == code, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in outcome.err


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
