"""Photographs of 224×224 as JPEG files, ingested and encrypted, beside Pillow and other makers of training data.

    python -m tests.benchmarks.photographs [--images 8000] [--repeats 3] [--sides pillow,lpe_ingest] [--folder DIR]

The files are crops of scikit-image's sample photographs, at quality 90, in 20 classes. All sides of a round run one
after the other, each in a fresh process; see `photograph_sides` for what each does and writes. Printed are images/s
without and with the process's start and imports, and ratios of neighbours in a round. The memory of all processes of a
job together is sampled while it works on one, two and four times the images. A tool that is not installed is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.benchmarks.harness import ROOT, Targets
from tests.benchmarks.photograph_sides import SHAPE, SIDES

CLASSES = 20
QUALITY = 90
DECODING = ("tfds", "datasets", "litdata")
"""Those that write decoded pixels, as `lpe` does."""
COPYING = ("tfds_copied", "datasets_copied", "litdata_copied")
NEEDED = {"tfds": "tensorflow_datasets", "datasets": "datasets", "litdata": "litdata"}


class Run(NamedTuple):
    """A side's run: seconds of its job, of its process, and the most memory of all its processes in MB."""

    job: float
    process: float
    peak: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--folder", type=Path, help="where the images are, or are made and kept")
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = options.folder or Path(work, "photographs")
        if not folder.exists():
            make_photographs(folder, options.images)
        sides = [side for side in options.sides.split(",") if _installed(side)]
        rounds: list[dict[str, Run]] = []
        for number in range(options.repeats):
            rounds.append({side: run(side, folder, Path(work)) for side in sides})
            shown = ", ".join(f"{side} {runs.job:.2f} s" for side, runs in rounds[-1].items())
            print(f"round {number + 1}: {shown}", flush=True)
        _print_speeds(rounds, sum(1 for _ in folder.rglob("*.jpg")))
        if not options.no_memory:
            _print_memory(folder, Path(work))


def make_photographs(folder: Path, count: int) -> None:
    """Writes JPEG files of random crops of sample photographs to a folder for each class."""
    import skimage.data  # noqa: PLC0415  (only where there are no files yet)

    data = skimage.data
    samples = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), *data.stereo_motorcycle()[:2]]
    photographs = [Image.fromarray(sample) for sample in samples]
    rng = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"{label:02}").mkdir(parents=True)
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        side = int(rng.integers(SHAPE[0], min(photograph.size) + 1))
        left, top = (int(rng.integers(0, whole - side + 1)) for whole in photograph.size)
        crop = photograph.crop((left, top, left + side, top + side))
        crop.resize(SHAPE[1::-1], Image.Resampling.BICUBIC).save(
            folder / f"{number % CLASSES:02}" / f"{number:07}.jpg", quality=QUALITY
        )


def run(side: str, folder: Path, work: Path) -> Run:
    """Runs a side in a process of its own; what it wrote is removed."""
    with tempfile.TemporaryDirectory(dir=work) as output, tempfile.TemporaryFile() as errors:
        command = [sys.executable, "-m", "tests.benchmarks.photograph_sides", side, str(folder), output]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, text=True)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.05)
        wall = time.perf_counter() - started
        out = process.stdout.read() if process.stdout is not None else ""
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{side}: failed\n{errors.read().decode()}")
        job = json.loads(out.splitlines()[-1])["seconds"]
        os.sync()  # none pays for another's writing
        return Run(job, wall, peak)


def _installed(side: str) -> bool:
    module = NEEDED.get(side.removesuffix("_copied"))
    if module is None:
        return True
    found = (
        subprocess.run(
            [sys.executable, "-c", f"import {module}"], check=False, capture_output=True
        ).returncode
        == 0
    )
    if not found:
        print(f"{side}: left out, {module} cannot be imported")
    return found


def _memory(pid: int) -> float:
    """Resident memory of a process and all below it, in MB; pages that they share count once for each."""
    total = 0.0
    with contextlib.suppress(OSError):  # it may have ended
        total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += sum(_memory(int(child)) for child in (thread / "children").read_text().split())
    return total


def _print_speeds(rounds: list[dict[str, Run]], images: int) -> None:
    sides = list(rounds[0])
    print(f"{'images/s':18}{'job':>9}{'process':>9}{'MB':>8}")
    for side in sides:
        runs = [one[side] for one in rounds]
        job, process, peak = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{side:18}{images / job:9,.0f}{images / process:9,.0f}{peak:8,.0f}")
    targets = Targets(
        {f"{job} : pillow": (">=", 0.85) for job in ("lpe_ingest", "lpe_encrypt")}
        | {f"{job} : best that decodes": (">=", 2.0) for job in ("lpe_ingest", "lpe_encrypt")}
    )

    def speeds(*names: str) -> list[float]:
        return [max(images / one[name].job for name in names) for one in rounds]

    for job in ("lpe_ingest", "lpe_encrypt"):
        others = {
            "pillow": ("pillow",),
            "floor": ("encrypt_floor" if job == "lpe_encrypt" else "floor",),
            "best that decodes": tuple(name for name in DECODING if name in sides),
            "best that copies": tuple(name for name in COPYING if name in sides),
        }
        for name, those in others.items():
            if job in sides and those and set(those) <= set(sides):
                targets.ratio(f"{job} : {name}", speeds(job), speeds(*those), "images/s")
    targets.print("images/s, start-up apart")


def _print_memory(folder: Path, work: Path) -> None:
    """The peak of an ingest of one, two and four times the images, the same files under other names."""
    peaks = []
    for times in (1, 2, 4):
        many = work / f"times-{times}"
        for path in folder.glob("*/*.jpg"):
            for copy in range(times):
                target = many / path.parent.name / f"{path.stem}-{copy}.jpg"
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, target)
        peaks.append(run("lpe_ingest", many, work).peak)
        shutil.rmtree(many)
    print("lpe_ingest, MB of all processes on 1, 2, 4 times the images:", *(f"{peak:,.0f}" for peak in peaks))


if __name__ == "__main__":
    main()
