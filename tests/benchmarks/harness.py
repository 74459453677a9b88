"""What the benchmarks share: inputs, processes that are timed, sides that alternate, ratios with their targets."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from lpe.pipeline import records, storage
from lpe.pipeline.dataset import ShardInfo, layout
from lpe.pipeline.dataset.metadata import write_metadata
from lpe.pipeline.jobs.encrypt import encrypt
from lpe.pipeline.jobs.spec import CipherChoice, JobSpec
from lpe.pipeline.keystore import KeyRef
from lpe.pipeline.records import tfrecord
from lpe.pipeline.sources import splits
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms.batch import ImageBatch
from lpe.transforms.image_shape import ImageShape

ROOT = Path(__file__).parents[2]
LPE = str(Path(sys.executable).with_name("lpe"))
SCRIPT = (sys.executable, "-m")


class Run(NamedTuple):
    """A finished process: its wall time, the seconds that it reports, its peak memory in MB."""

    wall: float
    seconds: float
    peak: float

    @property
    def outside(self) -> float:
        """Seconds that are not the job's: start, imports, end."""
        return self.wall - self.seconds


def child(*command: str) -> Run:
    """Runs a command that prints one JSON object, and waits for it and its children."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT)
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        answer = {} if process.returncode else json.loads(text)
        if process.returncode or answer.get("status") == "skipped":
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)}: not measured\n{(text + errors.read()).decode()}")
    return Run(wall, answer["seconds"], usage.ru_maxrss * 1024 / 1e6)


class Bench:
    """Inputs, made when first asked for, and jobs on them."""

    def __init__(self, root: Path, images: int, repeats: int) -> None:
        self.root = root
        self.images = images
        self.repeats = repeats

    @functools.cached_property
    def keys(self) -> str:
        child(LPE, "keys", "create", "bench", "--keystore", f"{self.root}/keys", "--json")
        return f"{self.root}/keys"

    tiny = functools.cached_property(lambda self: self.ingest("tiny", self.images // 15))
    small = functools.cached_property(lambda self: self.ingest("small", self.images))
    tenfold = functools.cached_property(lambda self: self.ingest("tenfold", 10 * self.images))

    def ingest(self, name: str, images: int) -> Path:
        source = f"synthetic:{images * 5 // 6}"  # the rest is the test split
        child(LPE, "ingest", "--source", source, "--output", f"{self.root}/{name}", "--json")
        return self.root / name / "1.0.0"

    @functools.cached_property
    def pictures(self) -> Path:
        """Random images of 224×224×3."""
        return self.random_images("pictures", max(2, self.images // 30), (224, 224, 3))

    def random_images(self, name: str, count: int, shape: ImageShape) -> Path:
        """A dataset of random images of any shape."""
        directory = self.root / name / "1.0.0"
        fmt = records.RecordFormat(shape)
        rng = np.random.default_rng(0)
        size = math.prod(shape)
        bounds = splits.shard_bounds(count, size)
        shards = []
        for index, (start, stop) in enumerate(bounds):
            images = rng.integers(0, 256, (stop - start, *shape), dtype=np.uint8)
            ids = [f"train-{i:07d}" for i in range(start, stop)]
            data = records.encode(ImageBatch(ids, images, np.arange(start, stop) % 10), fmt)
            file = layout.shard_name(name, "train", index, len(bounds))
            storage.write_atomic(f"{directory}/{file}", data)
            crc = f"{tfrecord.extend_crc32c(0, data):08x}"
            shards.append(ShardInfo(file, stop - start, len(data), crc, hashlib.sha256(data).hexdigest()))
        names = {"name": name, "version": "1.0.0", "class_names": tuple("0123456789")}
        made = {"shards": {"train": shards}, "manifest": {"job": "", "origin": "random", "bad_records": 0}}
        write_metadata(str(directory), **names, fmt=fmt, **made, encrypted=False)
        return directory

    def alternate(self, *sides: Callable[[Path], object]) -> list[tuple]:
        """What each side gave in all repeats; every call gets a fresh directory."""
        rounds = []
        for _ in range(self.repeats):
            rounds.append([])
            for side in sides:
                directory = Path(tempfile.mkdtemp(dir=self.root))
                rounds[-1].append(side(directory))
                shutil.rmtree(directory)
        return list(zip(*rounds, strict=True))

    def encrypt(self, source: Path, to: Path, *more: str) -> Run:
        """`lpe encrypt`, a process."""
        places = ["--source", f"dataset:{source}", "--output", f"{to}/data", "--keystore", self.keys]
        return child(LPE, "encrypt", *places, "--key", "bench", "--json", *more)

    def verify(self, encrypted: Path, plain: Path) -> Run:
        """`lpe verify --against`, a process."""
        return child(
            LPE, "verify", str(encrypted), "--keystore", self.keys, "--against", str(plain), "--json"
        )

    def decrypt(self, encrypted: Path, to: Path) -> Run:
        """`lpe decrypt`, a process."""
        places = ["--source", str(encrypted), "--output", f"{to}/back"]
        return child(LPE, "decrypt", *places, "--keystore", self.keys, "--json")

    def reencrypt(self, home: Path) -> Run:
        """`lpe reencrypt` under a rotated key, a process."""
        child(LPE, "keys", "rotate", "bench", "--keystore", self.keys, "--json")
        return child(LPE, "reencrypt", str(home), "--keystore", self.keys, "--json")

    def stage(self, source: Path, to: Path, cipher: str = "lpe-100") -> float:
        """Seconds of the same job in this process."""
        spec = JobSpec(ReadSpec(f"dataset:{source}"), f"{to}/data")
        return encrypt(spec, CipherChoice(cipher), KeyRef(self.keys, "bench")).seconds

    def megabytes_per_second(self, source: Path, to: Path, cipher: str = "lpe-100") -> float:
        """The speed of that."""
        size = sum(path.stat().st_size for path in source.glob("*.tfrecord*"))
        return size / 1e6 / self.stage(source, to, cipher)

    def script(self, name: str, to: Path, *more: str) -> Run:
        """A script of this folder, a process."""
        return child(*SCRIPT, f"tests.benchmarks.{name}", str(self.small), f"{to}/data", *more)


def importing(module: str) -> float:
    """Seconds of a process that imports a module."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True)
    return time.perf_counter() - start


class Targets:
    """Lines of a table, each with a ratio and, if it has one, a target.

    Args:
      targets: by name of line: at most (<=) or at least (>=) so much.
    """

    def __init__(self, targets: dict[str, tuple[str, float]]) -> None:
        self._targets = targets
        self._lines: list[list[str]] = []

    def ratio(self, name: str, first: Sequence[float], second: Sequence[float], unit: str = "s") -> None:
        """Adds the medians of two sides, and the median of the ratios of neighbours."""
        value = statistics.median(a / b for a, b in zip(first, second, strict=True))
        sides = [f"{statistics.median(side):,.2f} {unit}" for side in (first, second)]
        self._lines.append([name, *sides, *self._judged(name, value)])

    def ratios(self, name: str, first: Sequence[Run], second: Sequence[Run]) -> None:
        """Adds the ratio of whole processes, and that of the seconds that they report."""
        self.ratio(f"{name}: process", [run.wall for run in first], [run.wall for run in second])
        self.ratio(f"{name}: job", [run.seconds for run in first], [run.seconds for run in second])

    def value(self, name: str, value: float) -> None:
        """Adds a value that is no ratio."""
        self._lines.append([name, "", "", *self._judged(name, value)])

    def print(self, title: str) -> None:
        """Prints the table."""
        table = Table("row", title=title, title_justify="left")
        for head in ("first", "second", "ratio", "target", "met"):
            table.add_column(head, justify="right")
        for line in sorted(self._lines, key=lambda line: line[0].partition(" ")[0]):
            table.add_row(*line)
        Console(width=max(100, Console().width)).print(table)

    def _judged(self, name: str, value: float) -> list[str]:
        relation, target = self._targets.get(name, ("", None))
        if target is None:
            return [f"{value:,.2f}", "", ""]
        met = value <= target if relation == "<=" else value >= target
        return [f"{value:,.2f}", f"{relation} {target:g}", "yes" if met else "NO"]
