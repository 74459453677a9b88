"""The same jobs here and on another runner, as a person types them; and what must come out: the same bytes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lpe.pipeline.cli.app import main
from tests.conftest import Outcome
from tests.pipeline.running import files
from tests.workers.sources import copy_sources

IMAGES = 520  # eight shards of train, one of test

_SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """`lpe` as a command of its own, with a runner's options."""

    options: tuple[str, ...]

    def __call__(self, *words: object, seconds: float = _SECONDS, cwd: Path | None = None) -> Outcome:
        """Runs it; fails where it takes longer."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, timeout=seconds, cwd=cwd
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Starts it."""
        return subprocess.Popen(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def command(self, *words: object) -> list[str]:
        lpe = Path(sys.executable).with_name("lpe")
        return [str(lpe), *(str(word) for word in words), *self.options]


def package(folder: Path) -> str:
    """The option that stages our package."""
    return f"--setup_file={copy_sources(folder / f'sources-{os.getpid()}') / 'setup.py'}"


def portable(job_endpoint: str, *options: str) -> Elsewhere:
    """Runs on a job service."""
    return Elsewhere(("--runner=PortableRunner", f"--job_endpoint={job_endpoint}", *options))


def external(pool: str) -> tuple[str, ...]:
    """The options for workers from a pool, such as a side-car."""
    return ("--environment_type=EXTERNAL", f"--environment_config={pool}")


def process(boot: Path) -> tuple[str, ...]:
    """The options for workers that Flink's TaskManagers start beside them."""
    return ("--environment_type=PROCESS", f"--environment_config={json.dumps({'command': str(boot)})}")


@dataclasses.dataclass(frozen=True)
class Homes:
    """The datasets of one run of all jobs; their names are the same in each, since salts come from them."""

    root: Path

    def __getitem__(self, kind: str) -> Path:
        return self.root / kind / "shapes"


@dataclasses.dataclass(frozen=True)
class Job:
    """A job's name, its words, and the version directory that it writes the same bytes to each time, if any."""

    name: str
    words: tuple[object, ...]
    writes: Path | None = None


def jobs(homes: Homes, keystore: str, sealed: Path, data_key: Path) -> list[Job]:
    """Every job that runs on Beam, each with what those before it wrote.

    Args:
      sealed, data_key: what is unsealed, and with which key: sealing twice never gives the same bytes.
    """
    keys = ("--keystore", keystore)
    plain = f"dataset:{homes['plain']}"
    encrypt = ("encrypt", *keys, "--key", "patients", "--source", plain)
    unseal = ("unseal", "--source", f"dataset:{sealed}", "--data-key", data_key)
    return [
        Job(
            "ingest",
            ("ingest", "--source", f"synthetic:{IMAGES}", "--output", homes["plain"]),
            homes["plain"] / "1.0.0",
        ),
        Job("encrypt", (*encrypt, "--output", homes["enc"], "--scope", "image"), homes["enc"] / "1.0.0"),
        Job("verify", ("verify", homes["enc"], *keys, "--against", plain)),
        Job(
            "decrypt",
            ("decrypt", *keys, "--source", f"dataset:{homes['enc']}", "--output", homes["back"]),
            homes["back"] / "1.0.0",
        ),
        Job("seal", (*encrypt, "--output", homes["sealed"], "--seal")),
        Job("verify sealed", ("verify", homes["sealed"], *keys, "--against", plain)),
        Job("unseal", (*unseal, "--output", homes["open"]), homes["open"] / "1.0.0"),
        Job("rotate", ("keys", "rotate", "patients", *keys)),
        Job("reencrypt", ("reencrypt", homes["enc"], *keys, "--cipher", "lpe-50"), homes["enc"] / "1.0.1"),
    ]


def check_jobs(elsewhere: Elsewhere, root: Path, names: Sequence[str] | None = None) -> None:
    """Runs each job here, and with the same words elsewhere: both must write the same bytes.

    Args:
      root: a fresh folder.
      names: those that run elsewhere; by default all. What comes after the last of them is left out.
    """
    waiting = set(names or ["reencrypt"])
    keystore, here, there = str(root / "keys"), Homes(root / "here"), Homes(root / "there")
    run_here("keys", "create", "patients", "--keystore", keystore)
    given = (keystore, here["sealed"], root / "data-key")
    for ours, theirs in zip(jobs(here, *given), jobs(there, *given), strict=True):
        if not waiting:
            return
        waiting.discard(ours.name)
        if ours.name == "unseal":
            export = ("--dataset", here["sealed"], "--output", root / "data-key")
            run_here("keys", "export", "patients", "--keystore", keystore, *export)
        run_here(*ours.words)
        if ours.name == "rotate":
            continue
        if names is not None and ours.name not in names:
            run_here(*theirs.words)
            continue
        done = elsewhere(*theirs.words, "--json")
        assert done.code == 0, (ours.name, done)
        assert done.json.get("ok", True), (ours.name, done)
        told = done.json["metrics"]
        assert told["shards"] == 9, (ours.name, done)
        assert told["images"] == IMAGES * 6 // 5, (ours.name, done)
        if ours.writes is not None and theirs.writes is not None:
            check_same(ours.writes, theirs.writes)


def run_here(*words: object) -> None:
    """Runs `lpe` here."""
    code = main([str(word) for word in words])
    assert code == 0, words


def check_same(ours: Path, theirs: Path) -> None:
    """Raises AssertionError unless two version directories hold the same files."""
    a, b = files(ours), files(theirs)
    assert any(".tfrecord-" in name for name in a), sorted(a)
    assert a.keys() == b.keys(), a.keys() ^ b.keys()
    assert a == b, [name for name in a if a[name] != b[name]]


def failed(outcome: Outcome, *parts: str) -> None:
    """Exit 1, and at the end the one line that says why."""
    assert outcome.code == 1, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    lines = [line for line in outcome.err.splitlines() if line.startswith("lpe: ")]
    assert len(lines) == 1, outcome.err
    for part in parts:
        assert part in lines[0]
