"""Training beside plain loops, and the start of the commands with a network beside the import of their backend.

    python -m tests.benchmarks.training [--rows ab] [--images 12800] [--repeats 3]

    a  images/s of `lpe train` (network `cnn`, images 32×32×3 in memory, batches of 128, its last epoch) against
       plain_loops.py in PyTorch, as it is and compiled, and in JAX; a package that is not installed is not measured
    b  process time of `lpe train` to its first step, `lpe predict` of one image and `lpe evaluate` of 60, against a
       process that imports Keras with its backend and ends: seconds of the processor, then of the clock

Sides alternate, each in a process of its own; shown are the medians of the sides and of the ratios of neighbours.
KERAS_BACKEND chooses Keras's backend, as for `lpe train`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from lpe.train import backend

BATCH = 128
LPE = (sys.executable, "-m", "lpe")
LOOPS = {"torch": "torch", "torch-compiled": "torch", "jax": "jax"}
LEAST_SPEED, MOST_START = 0.95, 1.3
FIRST_STEP = """
import os, sys
from lpe.pipeline.cli import app, console
def stop(self, line):
    if " images" in line: os._exit(0)
console.Report.status = stop
app.entry_point()
"""


def timed(*command: str) -> tuple[float, float]:
    """Seconds of the processor and of the clock that a command takes."""
    started, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return processor, time.perf_counter() - started


def speed_of_lpe(data: str, output: str) -> float:
    """Images/s of the last of three epochs."""
    subprocess.run(
        [*LPE, "train", "--data", data, "--output", output, "--epochs", "3", "--batch-size", str(BATCH), "--json"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    lines = Path(output, "metrics.jsonl").read_text().splitlines()
    return float(json.loads(lines[-1])["images_per_second"])


def speed_of_loop(side: str, images: int) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.plain_loops", side, str(images), str(BATCH)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def speeds(place: Path, images: int, repeats: int) -> None:
    data = str(place / "many")
    ingest(data, images)
    found: dict[str, list[float]] = {}
    for number in range(repeats):
        found.setdefault("lpe", []).append(speed_of_lpe(data, f"{place}/run-{number}"))
        for side, package in LOOPS.items():
            if importlib.util.find_spec(package) is not None:
                found.setdefault(side, []).append(speed_of_loop(side, images))
    medians = {side: statistics.median(values) for side, values in found.items()}
    for side, package in LOOPS.items():
        if side not in found:
            print(f"a  {side}: not measured, {package} is not installed")
            continue
        ratio = statistics.median(a / b for a, b in zip(found["lpe"], found[side], strict=True))
        met = "yes" if ratio >= LEAST_SPEED else "NO"
        print(
            f"a  lpe train, {backend.title()}: {medians['lpe']:,.0f} images/s; {side}: {medians[side]:,.0f}; ratio "
            f"{ratio:.2f}, target ≥ {LEAST_SPEED}: {met}",
            flush=True,
        )


def starts(place: Path, repeats: int) -> None:
    data, run, photo = str(place / "few"), str(place / "run"), str(place / "photo.png")
    ingest(data, 300)
    subprocess.run(
        [*LPE, "train", "--data", data, "--output", run, "--epochs", "1", "--json"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    Image.new("RGB", (32, 32)).save(photo)
    numbers = iter(range(1_000))

    def first_step() -> Sequence[str]:
        words = ["train", "--data", data, "--epochs", "1", "--output", f"{place}/first-{next(numbers)}"]
        return (sys.executable, "-c", FIRST_STEP, *words)

    sides: dict[str, Callable[[], Sequence[str]]] = {
        "train to its first step": first_step,
        "predict of one image": lambda: (*LPE, "predict", "--run", run, photo),
        "evaluate of 60 images": lambda: (*LPE, "evaluate", "--run", run, "--data", data),
    }
    os.environ["KERAS_BACKEND"] = backend.name()
    for title, command in sides.items():
        pairs = [(timed(sys.executable, "-c", "import keras"), timed(*command())) for _ in range(repeats)]
        for unit, part in (("processor", 0), ("clock", 1)):
            ours = statistics.median(mine[part] for _, mine in pairs)
            least = statistics.median(floor[part] for floor, _ in pairs)
            ratio = statistics.median(mine[part] / floor[part] for floor, mine in pairs)
            met = "yes" if ratio <= MOST_START else "NO"
            print(
                f"b  {title}: {ours:.2f} s of the {unit}; import of Keras with {backend.title()} {least:.2f} s; ratio "
                f"{ratio:.2f}, target ≤ {MOST_START}: {met}",
                flush=True,
            )


def ingest(home: str, images: int) -> None:
    command = [*LPE, "ingest", "--source", f"synthetic:{images}", "--output", home, "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", default="ab")
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if "b" in options.rows:
            starts(Path(place), options.repeats)
        if "a" in options.rows:
            speeds(Path(place), options.images, options.repeats)


if __name__ == "__main__":
    main()
