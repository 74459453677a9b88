"""Whole commands against the same ones of an older checkout, in turn, by this Python.

    git worktree add ../before COMMIT
    python -m tests.benchmarks.before ../before [--commands run,audit,compare] [--repeats 3] [--source cifar:PATH]

    run      `lpe run` on the embedded dataset
    audit    `lpe audit --ciphers all --images 500`
    compare  `lpe compare` of four schemes, two epochs each

Shown are the medians of the sides, and the median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.harness import ROOT, Targets

COMMANDS = {
    "run": ("run", "--output", "OUT"),
    "audit": ("audit", "--source", "SOURCE", "--ciphers", "all", "--images", "500", "--output", "OUT"),
    "compare": (
        "compare", "--source", "SOURCE", "--ciphers", "plain,lpe-100,le,etc", "--epochs", "2", "--output", "OUT"
    ),
}  # fmt: skip
TARGETS = {"run": ("<=", 0.5), "audit": ("<=", 0.4), "compare": ("<=", 0.5)}


def timed(checkout: Path, words: tuple[str, ...], source: str) -> float:
    """Seconds of a command of a checkout."""
    with tempfile.TemporaryDirectory(prefix="lpe-bench-") as out:
        places = {"OUT": f"{out}/work", "SOURCE": source}
        command = [sys.executable, "-m", "lpe", *(places.get(word, word) for word in words)]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} in {checkout}: {done.stderr}")
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--source", default="synthetic:4000")
    given = parser.parse_args()
    table = Targets(TARGETS)
    for name in given.commands.split(","):
        sides: tuple[list[float], list[float]] = ([], [])
        for _ in range(given.repeats):
            for side, checkout in zip(sides, (ROOT, given.checkout), strict=True):
                side.append(timed(checkout, COMMANDS[name], given.source))
        now, before = sides
        table.ratio(name, now, before)
    table.print(f"against {given.checkout.name}, {given.source}, {given.repeats} repeats")


if __name__ == "__main__":
    main()
