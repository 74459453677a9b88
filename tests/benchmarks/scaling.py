"""How the cost of jobs grows with images, their size and processes, as a picture: deploy/pictures/scaling.png.

    python -m tests.benchmarks.scaling [--repeats 3] [--images 600000] [--output deploy/pictures/scaling.png]

Whole commands, lpe-100, medians. Left: seconds for 600 to --images images of 32×32×3, without options. Middle: MB/s of
`lpe encrypt` on the bytes of --images / 3, as images of 32×32 to 1024×1024. Right: seconds of `lpe encrypt` on --images
by `--workers`, up to the cores that there are, and without that option.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

from lpe.pipeline.engine.cores import usable_cores
from tests.benchmarks.harness import ROOT, Bench

SIZES = (32, 64, 128, 224, 448, 1024)
BYTES = 32 * 32 * 3


def by_images(bench: Bench) -> dict[str, list[tuple[int, float]]]:
    """Seconds of each job, by number of images."""
    found: dict[str, list[tuple[int, float]]] = {}
    images = 600
    while images <= bench.images:
        plain = bench.ingest(f"images_{images}", images)

        def all_jobs(to: Path, plain: Path = plain) -> list[tuple[str, float]]:
            home = to / "data"
            return [
                ("encrypt", bench.encrypt(plain, to).wall),
                ("verify --against", bench.verify(home, plain).wall),
                ("reencrypt", bench.reencrypt(home).wall),
            ]

        (rounds,) = bench.alternate(all_jobs)
        for job in zip(*rounds, strict=True):
            found.setdefault(job[0][0], []).append((images, statistics.median(seconds for _, seconds in job)))
        images *= 10
    return found


def by_size(bench: Bench) -> list[tuple[int, float]]:
    """MB/s, by side of an image."""
    found = []
    for side in SIZES:
        count = max(2, bench.images // 3 * BYTES // (3 * side * side))
        source = bench.random_images(f"side_{side}", count, (side, side, 3))
        size = sum(path.stat().st_size for path in source.glob("*.tfrecord*")) / 1e6
        (seconds,) = bench.alternate(lambda to, of=source: bench.encrypt(of, to).wall)
        found.append((side, size / statistics.median(seconds)))
    return found


def by_workers(bench: Bench) -> list[tuple[str, float]]:
    """Seconds, by number of processes; `auto` for none given."""
    source = bench.root / f"images_{bench.images}" / "1.0.0"
    counts = [2**i for i in range(usable_cores().bit_length()) if 2**i <= usable_cores()]
    ways = [(str(count), ("--workers", str(count))) for count in counts] + [("auto", ())]
    sides = bench.alternate(
        *(lambda to, more=more: bench.encrypt(source, to, *more).wall for _, more in ways)
    )
    return [(name, statistics.median(side)) for (name, _), side in zip(ways, sides, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=600_000)
    parser.add_argument("--output", default=str(ROOT / "deploy/pictures/scaling.png"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lpe-bench-") as root:
        bench = Bench(Path(root), given.images, given.repeats)
        jobs, sizes, workers = by_images(bench), by_size(bench), by_workers(bench)
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for name, points in jobs.items():
        left.loglog(*zip(*points, strict=True), "o-", label=name)
    left.set(title="images of 32×32×3", xlabel="images", ylabel="seconds, start-up included")
    left.legend()
    middle.semilogx(*zip(*sizes, strict=True), "o-")
    middle.set_xticks(SIZES, [str(side) for side in SIZES])
    middle.minorticks_off()
    megabytes = given.images // 3 * BYTES / 1e6
    middle.set(
        title=f"{megabytes:,.0f} MB as larger images", xlabel="side (pixels)", ylabel="MB/s of lpe encrypt"
    )
    middle.set_ylim(bottom=0)
    names, seconds = zip(*workers, strict=True)
    right.bar(names, seconds, color="#4477aa")
    right.set(title=f"{given.images:,} images, {usable_cores()} cores", xlabel="--workers", ylabel="seconds")
    for axes in (left, middle):
        axes.grid(alpha=0.3)
    figure.savefig(given.output, dpi=110)
    for name, points in (*jobs.items(), ("MB/s by side", sizes), ("seconds by workers", workers)):
        print(name, ", ".join(f"{x}: {y:,.2f}" for x, y in points))


if __name__ == "__main__":
    main()
