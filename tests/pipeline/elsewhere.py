"""The same jobs here and on another runner, as a person types them; and what must come out: the same bytes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.cli import main
from pipeline.keystore import KeyStore
from tests.conftest import Outcome
from tests.pipeline.running import files

CHECKOUT = Path(__file__).resolve().parents[2]
IMAGES = 520  # eight shards of train, one of test

_SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """`lpe` as a command of its own, with a runner's options."""

    options: tuple[str, ...]

    def __call__(self, *words: object, seconds: float = _SECONDS) -> Outcome:
        """Runs it; fails where it takes longer."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, timeout=seconds
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
    """The option that stages our package, from a copy of its sources: Beam writes beside setup.py as it builds."""
    sources = folder / f"sources-{os.getpid()}"
    if not sources.exists():
        sources.mkdir()
        for path in CHECKOUT.iterdir():
            if path.is_file() and not path.name.startswith("."):
                shutil.copy(path, sources)
        for name in ("transforms", "pipeline", "train"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHECKOUT / name, sources / name, ignore=ignored)
    return f"--setup_file={sources / 'setup.py'}"


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
    keystore: str

    def __getitem__(self, kind: str) -> Path:
        return self.root / kind / "shapes"

    def jobs(self) -> Iterator[tuple[str, tuple[object, ...], Path | None]]:
        """Name, words, and the version directory that is written, of every job that runs on Beam."""
        keys = ("--keystore", self.keystore)
        encrypt = ("encrypt", *keys, "--key", "patients", "--source", f"dataset:{self['plain']}")
        yield (
            "ingest",
            ("ingest", "--source", f"synthetic:{IMAGES}", "--output", self["plain"]),
            self["plain"] / "1.0.0",
        )
        yield "encrypt", (*encrypt, "--output", self["enc"], "--scope", "image"), self["enc"] / "1.0.0"
        against = ("--against", f"dataset:{self['plain']}")
        yield "verify", ("verify", self["enc"], *keys, *against), None
        decrypt = ("decrypt", *keys, "--source", f"dataset:{self['enc']}", "--output", self["back"])
        yield "decrypt", decrypt, self["back"] / "1.0.0"
        seal = (*encrypt, "--output", self["sealed"], "--seal", "--hide-labels")
        yield "seal", seal, self["sealed"] / "1.0.0"
        opened = ("unseal", "--source", f"dataset:{self['sealed']}", "--output", self["open"])
        yield "unseal", (*opened, "--data-key", self.data_key()), self["open"] / "1.0.0"
        yield "reencrypt", ("reencrypt", self["enc"], *keys, "--cipher", "lpe-50"), self["enc"] / "1.0.1"

    def data_key(self) -> Path:
        path = self.root / "data-key"
        if not path.exists():
            words = ("keys", "export", "patients", "--keystore", self.keystore, "--dataset", self["sealed"])
            assert main([str(word) for word in (*words, "--output", path)]) == 0
        return path


def check_jobs(elsewhere: Elsewhere, root: Path, names: Sequence[str] | None = None) -> None:
    """Runs each job here, and with the same words elsewhere: both must write the same bytes.

    The key is rotated before the re-encryption. Verification must find nothing wrong.

    Args:
      root: a fresh folder.
      names: which jobs, in the order of `Homes.jobs`; by default all.
    """
    keystore = str(root / "keys")
    KeyStore(keystore).create("patients")
    here, there = Homes(root / "here", keystore), Homes(root / "there", keystore)
    for (name, words, ours), (_, same_words, theirs) in zip(here.jobs(), there.jobs(), strict=True):
        if name == "reencrypt":
            KeyStore(keystore).rotate("patients")
        assert main([str(word) for word in words]) == 0, name
        if names is not None and name not in names:
            assert main([str(word) for word in same_words]) == 0, name
            continue
        done = elsewhere(*same_words, "--json")
        assert done.code == 0, (name, done)
        shards = len([path for path in files(here["plain"] / "1.0.0") if ".tfrecord-" in path])
        assert done.json["metrics"]["shards"] == shards, (name, done)
        if ours is None or theirs is None:
            assert done.json["ok"], (name, done)
        else:
            check_same(ours, theirs)


def check_same(ours: Path, theirs: Path) -> None:
    """Raises AssertionError unless two version directories hold the same files."""
    a, b = files(ours), files(theirs)
    assert a.keys() == b.keys()
    assert any(".tfrecord-" in name for name in a)
    assert [name for name in a if a[name] != b[name]] == []
