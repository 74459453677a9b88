"""A million small files in a thousand classes: what planning them takes, and what reading them for the digest adds.

    python -m tests.benchmarks.folders [--files 1000000] [--classes 1000] [--directory /tmp]

Makes the files (a million inodes, 4 GB of disk where a file takes a block), plans them in a process of its own for each
row, as `lpe ingest` does before it writes anything, and deletes them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.pipeline.sources import images

ROWS = {
    "the plan alone (--dry-run)": (False, "contents"),
    "--digest names-and-sizes": (True, "names-and-sizes"),
    "--digest contents": (True, "contents"),
}
"""What a row is called -> whether the digest is asked for, and which."""

PLAN = """
import json, pickle, resource, sys, time
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.pipeline.sources.base import ReadOptions
source, digest, mode = json.loads(sys.argv[1])
started = time.monotonic()
with open_plan(ReadSpec(source, ReadOptions(digest=mode)), digest=digest) as plan:
    seconds = time.monotonic() - started
    tasks = [len(pickle.dumps(task)) for task in plan.tasks]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    print(json.dumps([seconds, peak, sum(tasks), len(tasks), plan.examples]))
"""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a plan took: seconds, bytes of memory at most, bytes of all tasks as they travel, tasks, images."""

    seconds: float
    peak: int
    task_bytes: int
    tasks: int
    images: int


def make(root: Path, files: int, classes: int, *, links: bool = False) -> None:
    """Writes tiny PNG files, or hard links to one a class."""
    data = images.encoded(np.zeros((4, 4, 3), np.uint8))
    for label in range(classes):
        folder = root / f"class_{label:04d}"
        folder.mkdir(parents=True)
        first = folder / f"image_{label:07d}.png"
        first.write_bytes(data)
        for number in range(label + classes, files, classes):
            path = folder / f"image_{number:07d}.png"
            if links:
                path.hardlink_to(first)
            else:
                path.write_bytes(data)


def plan(root: Path, *, digest: bool, mode: str) -> Cost:
    """Plans a folder in a process of its own."""
    told = json.dumps([f"folder:{root}", digest, mode])
    ran = subprocess.run([sys.executable, "-c", PLAN, told], capture_output=True, text=True, check=True)
    return Cost(*json.loads(ran.stdout))


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--directory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        root = Path(folder, "images")
        started = time.monotonic()
        make(root, options.files, options.classes)
        print(f"made in {time.monotonic() - started:.0f} s")
        print("| | seconds | peak MB | bytes of a task, per image |")
        print("|---|---|---|---|")
        for name, (digest, mode) in ROWS.items():
            cost = plan(root, digest=digest, mode=mode)
            print(
                f"| {name} | {cost.seconds:.1f} | {cost.peak / 1e6:.0f} | {cost.task_bytes / cost.images:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
