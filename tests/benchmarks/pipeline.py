"""`lpe encrypt` and `reencrypt` with lpe-100; every row is a ratio measured in this run.

    python -m tests.benchmarks.pipeline [--rows abcdefg] [--repeats 5] [--images 60000]

Builds its input in a temporary directory (up to 4 GB while it runs). N is --images, of 32×32×3.

    a  encrypt against tensorflow_loop.py (both ways to parse), N images
    b  the encrypt stage against its floor: read, CRC, memcpy, CRC, write and sync the same bytes
    c  encrypt of 10 N images against N: time and peak memory
    d  encrypt of 10 N images with one worker against two
    e  reencrypt under a rotated key against encrypt, N images
    f  MB/s of the encrypt stage on N/30 images of 224×224×3 against N of 32×32×3
    g  encrypt against naive_beam.py, N images

"job" is what a process reports as its seconds: what it did after its imports (lpe's still has the
import of Beam's runner in it). "stage" is the same figure in a process that has done a job before.
Sides alternate (ABABAB), each into a fresh directory; shown are the medians of the sides and the
median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
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

# At most (<=) or at least (>=) so much; rows that are not here are for information.
TARGETS = {
    "a: process": ("<=", 0.35),
    "a: job": ("<=", 0.5),
    "b: stage / floor": ("<=", 3.0),
    "c: process": ("<=", 10.5),
    "c: job": ("<=", 10.5),
    "c: peak memory": ("<=", 1.2),
    "c: highest peak, MB": ("<=", 700.0),
    "d: process": (">=", 1.7),
    "d: job": (">=", 1.7),
    "e: job": ("<=", 1.4),
    "f: MB/s": (">=", 0.8),
}
ROOT = Path(__file__).parents[2]
LPE = str(Path(sys.executable).with_name("lpe"))
SCRIPT = (sys.executable, "-m")
SHAPE = (224, 224, 3)


class Run(NamedTuple):
    """A finished process: its wall time, the seconds that it reports, its peak memory in MB."""

    wall: float
    seconds: float
    peak: float


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

    small = functools.cached_property(lambda self: self.ingest("small", self.images))
    tenfold = functools.cached_property(lambda self: self.ingest("tenfold", 10 * self.images))

    def ingest(self, name: str, images: int) -> Path:
        source = f"synthetic:{images * 5 // 6}"  # the rest is the test split
        child(LPE, "ingest", "--source", source, "--output", f"{self.root}/{name}", "--json")
        return self.root / name / "1.0.0"

    @functools.cached_property
    def pictures(self) -> Path:
        """Random images of 224×224×3."""
        directory = self.root / "pictures/1.0.0"
        fmt = records.RecordFormat(SHAPE)
        rng = np.random.default_rng(0)
        bounds = splits.shard_bounds(max(2, self.images // 30), int(np.prod(SHAPE)))
        shards = []
        for index, (start, stop) in enumerate(bounds):
            images = rng.integers(0, 256, (stop - start, *SHAPE), dtype=np.uint8)
            ids = [f"train-{i:07d}" for i in range(start, stop)]
            data = records.encode(ImageBatch(ids, images, np.arange(start, stop) % 10), fmt)
            name = layout.shard_name("pictures", "train", index, len(bounds))
            storage.write_atomic(f"{directory}/{name}", data)
            crc = f"{tfrecord.extend_crc32c(0, data):08x}"
            shards.append(ShardInfo(name, stop - start, len(data), crc, hashlib.sha256(data).hexdigest()))
        names = {"name": "pictures", "version": "1.0.0", "class_names": tuple("0123456789")}
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

    def stage(self, source: Path, to: Path) -> float:
        """Seconds of the same job in this process."""
        spec = JobSpec(ReadSpec(f"dataset:{source}"), f"{to}/data")
        return encrypt(spec, CipherChoice("lpe-100"), KeyRef(self.keys, "bench")).seconds

    def script(self, name: str, to: Path, *more: str) -> Run:
        """A script of this folder, a process."""
        return child(*SCRIPT, f"tests.benchmarks.{name}", str(self.small), f"{to}/data", *more)


def floor(source: Path, to: Path) -> float:
    """Seconds for the same bytes with nothing done to them, some MB at a time."""
    start = time.perf_counter()
    for path in sorted(source.glob("*.tfrecord*")):
        with path.open("rb") as file, storage.open_atomic(f"{to}/{path.name}") as target:
            for rows, sound in tfrecord.frames(file, str(path)):
                assert sound.all()
                copy = np.empty_like(rows)
                np.copyto(copy, rows)
                copy[:, -tfrecord.FOOTER :] = tfrecord.checksums(copy).astype("<u4")[:, None].view(np.uint8)
                target.write(copy.data)
    return time.perf_counter() - start


def ratio(name: str, first: Sequence[float], second: Sequence[float], unit: str = "s") -> list[str]:
    """A line of the table: the sides, and the first as a ratio to the second."""
    value = statistics.median(a / b for a, b in zip(first, second, strict=True))
    sides = [f"{statistics.median(side):,.2f} {unit}" for side in (first, second)]
    return [name, *sides, *judged(name, value)]


def judged(name: str, value: float) -> list[str]:
    """A value, its target, and whether it is met."""
    relation, target = TARGETS.get(name.replace(" (protobuf)", ""), ("", None))
    if target is None:
        return [f"{value:,.2f}", "", ""]
    met = value <= target if relation == "<=" else value >= target
    return [f"{value:,.2f}", f"{relation} {target:g}", "yes" if met else "NO"]


def ratios(name: str, first: Sequence[Run], second: Sequence[Run]) -> list[list[str]]:
    whole = ratio(f"{name}: process", [run.wall for run in first], [run.wall for run in second])
    return [whole, ratio(f"{name}: job", [run.seconds for run in first], [run.seconds for run in second])]


def row_a(bench: Bench) -> list[list[str]]:
    child(*SCRIPT[:1], "-c", "import tensorflow; print('{\"seconds\": 0}')")  # from disk, once
    ours, parsed, protobuf = bench.alternate(
        lambda to: bench.encrypt(bench.small, to),
        lambda to: bench.script("tensorflow_loop", to),
        lambda to: bench.script("tensorflow_loop", to, "protobuf"),
    )
    return [*ratios("a", ours, parsed), *ratios("a (protobuf)", ours, protobuf)]


def row_b(bench: Bench) -> list[list[str]]:
    stage, least = (lambda to, f=f: f(bench.small, to) for f in (bench.stage, floor))
    return [ratio("b: stage / floor", *bench.alternate(stage, least))]


def row_c(bench: Bench) -> list[list[str]]:
    datasets = bench.tenfold, bench.small
    many, few = bench.alternate(*(lambda to, source=source: bench.encrypt(source, to) for source in datasets))
    peaks = [[run.peak for run in side] for side in (many, few)]
    highest = "c: highest peak, MB"
    memory = ratio("c: peak memory", *peaks, unit="MB")
    return [*ratios("c", many, few), memory, [highest, "", "", *judged(highest, max(map(max, peaks)))]]


def row_d(bench: Bench) -> list[list[str]]:
    one, two = (lambda to, n=n: bench.encrypt(bench.tenfold, to, "--workers", n) for n in "12")
    return ratios("d", *bench.alternate(one, two))


def row_e(bench: Bench) -> list[list[str]]:
    def both(to: Path) -> tuple[Run, Run]:
        before = bench.encrypt(bench.small, to)
        child(LPE, "keys", "rotate", "bench", "--keystore", bench.keys, "--json")
        return child(LPE, "reencrypt", f"{to}/data", "--keystore", bench.keys, "--json"), before

    (pairs,) = bench.alternate(both)
    return ratios("e", *zip(*pairs, strict=True))


def row_f(bench: Bench) -> list[list[str]]:
    def speed(source: Path, to: Path) -> float:
        size = sum(path.stat().st_size for path in source.glob("*.tfrecord*"))
        return size / 1e6 / bench.stage(source, to)

    sides = bench.alternate(lambda to: speed(bench.pictures, to), lambda to: speed(bench.small, to))
    return [ratio("f: MB/s", *sides, unit="MB/s")]


def row_g(bench: Bench) -> list[list[str]]:
    ours, naive = lambda to: bench.encrypt(bench.small, to), lambda to: bench.script("naive_beam", to)
    return ratios("g", *bench.alternate(ours, naive))


PROCESSES = {"a": row_a, "c": row_c, "d": row_d, "e": row_e, "g": row_g}
# Measured last: a process starts with the peak memory of its parent, and these let it grow.
STAGES = {"b": row_b, "f": row_f}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("rows", "abcdefg"), ("repeats", 5), ("images", 60_000)):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory(prefix="lpe-bench-") as root:
        bench = Bench(Path(root), given.images, given.repeats)
        for rows in (PROCESSES, STAGES):
            if rows is STAGES and set(given.rows) & set(STAGES):
                bench.stage(bench.small, Path(root) / "warm-up")
            for letter in sorted(set(given.rows) & set(rows)):
                lines += rows[letter](bench)
    title = f"N = {given.images:,} images, {given.repeats} repeats"
    table = Table("row", title=title, title_justify="left")
    for head in ("first", "second", "ratio", "target", "met"):
        table.add_column(head, justify="right")
    for line in sorted(lines, key=lambda line: line[0][0]):
        table.add_row(*line)
    Console().print(table)


if __name__ == "__main__":
    main()
