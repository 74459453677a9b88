"""The jobs on datasets, start-up and memory; every row is a ratio measured in this run.

    python -m tests.benchmarks.pipeline [--rows abcdefgh] [--repeats 5] [--images 60000]

Builds its input in a temporary directory (up to 6 GB while it runs). N is --images, of 32×32×3; the scheme is lpe-100.

    a  encrypt against tensorflow_loop.py (both ways to parse) and naive_beam.py, N images
    b  the encrypt stage against its floor: read, CRC, memcpy, CRC, write and sync the same bytes
    c  encrypt of 10 N images against N
    d  encrypt without options against `--workers 1`, N/15, N and 10 N images
    e  verify --against, decrypt and reencrypt under a rotated key against encrypt, N images
    f  MB/s of the encrypt stage on 224×224×3 against 32×32×3, and of other schemes against lpe-100
    g  start-up: what `lpe encrypt` takes outside its job, against `import apache_beam`
    h  peak memory of every job on 10 N images against N/10

Start-up depends on the environment: run row g by the Python of one with the extras `gcp` and `aws`, and of one without.
"job" is what a process reports as its seconds: what it did after its imports. "stage" is the same figure in a process
that has done a job before. Sides alternate (ABABAB), each into a fresh directory; shown are the medians of the sides
and the median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.records import tfrecord
from tests.benchmarks.harness import LPE, Bench, Run, Targets, child, importing

TARGETS = {
    "a tf.data: process": ("<=", 0.35),
    "a protobuf: process": ("<=", 0.4),
    "b stage / floor": ("<=", 1.6),
    "c: process": ("<=", 10.5),
    "d N/15: process": ("<=", 1.02),
    "d N: process": ("<=", 1.02),
    "d 10 N: process": ("<=", 0.62),
    "e verify: process": ("<=", 1.0),
    "e decrypt: process": ("<=", 1.0),
    "e reencrypt: process": ("<=", 1.35),
    "f size: MB/s": (">=", 0.8),
    **{f"f {cipher}: MB/s": (">=", 0.6) for cipher in ("le", "ele", "etc", "lpe-50")},
    "g start / import": ("<=", 0.6),
    **{
        f"h {job}: peak memory": ("<=", 1.1)
        for job in ("ingest", "encrypt", "verify", "decrypt", "reencrypt")
    },
    "h highest peak, MB": ("<=", 300.0),
}


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


def row_a(bench: Bench, table: Targets) -> None:
    importing("tensorflow")  # from disk, once
    ours, parsed, protobuf, beam = bench.alternate(
        lambda to: bench.encrypt(bench.small, to),
        lambda to: bench.script("tensorflow_loop", to),
        lambda to: bench.script("tensorflow_loop", to, "protobuf"),
        lambda to: bench.script("naive_beam", to),
    )
    for name, loop in (("tf.data", parsed), ("protobuf", protobuf), ("Beam over records", beam)):
        table.ratios(f"a {name}", ours, loop)


def row_b(bench: Bench, table: Targets) -> None:
    stage, least = (lambda to, f=f: f(bench.small, to) for f in (bench.stage, floor))
    table.ratio("b stage / floor", *bench.alternate(stage, least))


def row_c(bench: Bench, table: Targets) -> None:
    datasets = bench.tenfold, bench.small
    table.ratios("c", *bench.alternate(*(lambda to, of=of: bench.encrypt(of, to) for of in datasets)))


def row_d(bench: Bench, table: Targets) -> None:
    for name, source in (("N/15", bench.tiny), ("N", bench.small), ("10 N", bench.tenfold)):
        auto, one = (
            lambda to, of=source, more=more: bench.encrypt(of, to, *more) for more in ((), ("--workers", "1"))
        )
        table.ratios(f"d {name}", *bench.alternate(auto, one))


def row_e(bench: Bench, table: Targets) -> None:
    def all_jobs(to: Path) -> tuple[Run, ...]:
        encrypted = bench.encrypt(bench.small, to)
        home = to / "data"
        return encrypted, bench.verify(home, bench.small), bench.decrypt(home, to), bench.reencrypt(home)

    (rounds,) = bench.alternate(all_jobs)
    encrypted, *others = zip(*rounds, strict=True)
    for name, runs in zip(("verify", "decrypt", "reencrypt"), others, strict=True):
        table.ratios(f"e {name}", runs, encrypted)


def row_f(bench: Bench, table: Targets) -> None:
    speed = bench.megabytes_per_second
    large, small = bench.alternate(lambda to: speed(bench.pictures, to), lambda to: speed(bench.small, to))
    table.ratio("f size: MB/s", large, small, unit="MB/s")
    schemes = ("le", "ele", "etc", "lpe-50", "pbe", "cpbe-100", "lpe-100")
    sides = bench.alternate(*(lambda to, name=name: speed(bench.pictures, to, name) for name in schemes))
    for name, side in zip(schemes[:-1], sides[:-1], strict=True):
        table.ratio(f"f {name}: MB/s", side, sides[-1], unit="MB/s")


def row_g(bench: Bench, table: Targets) -> None:
    ours, beam = bench.alternate(
        lambda to: bench.encrypt(bench.tiny, to).outside, lambda to: importing("apache_beam")
    )
    table.ratio("g start / import", ours, beam)


def row_h(bench: Bench, table: Targets) -> None:
    def peaks(images: int, to: Path) -> tuple[float, ...]:
        source = f"synthetic:{images * 5 // 6}"
        ingested = child(LPE, "ingest", "--source", source, "--output", f"{to}/plain", "--json")
        encrypted = bench.encrypt(to / "plain/1.0.0", to)
        home = to / "data"
        others = bench.verify(home, to / "plain"), bench.decrypt(home, to), bench.reencrypt(home)
        return tuple(run.peak for run in (ingested, encrypted, *others))

    many, few = bench.alternate(
        lambda to: peaks(10 * bench.images, to), lambda to: peaks(bench.images // 10, to)
    )
    names = ("ingest", "encrypt", "verify", "decrypt", "reencrypt")
    for name, first, second in zip(names, zip(*many, strict=True), zip(*few, strict=True), strict=True):
        table.ratio(f"h {name}: peak memory", first, second, unit="MB")
    table.value("h highest peak, MB", max(map(max, many)))


PROCESSES = {"a": row_a, "c": row_c, "d": row_d, "e": row_e, "g": row_g, "h": row_h}
# Measured last: a process starts with the peak memory of its parent, and these let it grow.
STAGES = {"b": row_b, "f": row_f}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("rows", "abcdefgh"), ("repeats", 5), ("images", 60_000)):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = parser.parse_args()
    table = Targets(TARGETS)
    with tempfile.TemporaryDirectory(prefix="lpe-bench-") as root:
        bench = Bench(Path(root), given.images, given.repeats)
        for rows in (PROCESSES, STAGES):
            if rows is STAGES and set(given.rows) & set(STAGES):
                bench.stage(bench.small, Path(root) / "warm-up")
            for letter in sorted(set(given.rows) & set(rows)):
                rows[letter](bench, table)
    table.print(f"N = {given.images:,} images, {given.repeats} repeats")


if __name__ == "__main__":
    main()
