"""What appending one per cent costs against doing all: a folder of JPEGs that has grown, ingested and encrypted.

    python -m tests.benchmarks.append [--images 20000] [--size 224] [--rounds 3]

Both sides in turn: as commands in a process of their own, start-up included, and by what the job reports of itself, in
which all is that of writing alone, and appending has planning as well: all files of the grown folder are read for
their digests, or with `names` none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

TARGET = 0.05
NAMES = ("--digest", "names-and-sizes")


def draw(folder: Path, numbers: range, size: int) -> None:
    """JPEGs of smooth random pictures, about as large as photographs are."""
    for number in numbers:
        random = np.random.default_rng(number)
        small = random.integers(0, 256, (max(2, size // 8), max(2, size // 8), 3), np.uint8)
        path = folder / f"class{number % 10}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC).save(path, quality=90)


def run(*words: object) -> tuple[float, float]:
    """Runs `lpe`; seconds of the process, and of the job as it reports them."""
    started = time.monotonic()
    command = [sys.executable, "-m", "lpe", *map(str, words), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    value = json.loads(done.stdout)
    assert value["status"] == "ok", value
    return time.monotonic() - started, float(value["seconds"])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    more = options.images // 100
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        photos, keys = root / "photos", root / "keys"
        draw(photos, range(options.images), options.size)
        subprocess.run(
            [sys.executable, "-m", "lpe", "keys", "create", "k", "--keystore", str(keys)],
            check=True,
            capture_output=True,
        )
        key = ("--keystore", keys, "--key", "k")
        ingest = ("ingest", "--source", f"folder:{photos}", "--output")
        encrypt = ("encrypt", *key, "--source")
        run(*ingest, root / "base" / "s")
        run(*encrypt, f"dataset:{root}/base/s/1.0.0", "--output", root / "encbase" / "s")
        draw(photos, range(options.images, options.images + more), options.size)
        seconds: dict[str, list[tuple[float, float]]] = {}
        for _ in range(options.rounds):
            for name in ("all", "grown", "named", "encall", "encgrown"):
                shutil.rmtree(root / name, ignore_errors=True)
            for base, grown in (("base", "grown"), ("base", "named"), ("encbase", "encgrown")):
                shutil.copytree(root / base / "s" / "1.0.0", root / grown / "s" / "1.0.0")
            for name, words in (
                ("ingest", (*ingest, root / "all" / "s")),
                ("ingest --append", (*ingest, root / "grown" / "s", "--append")),
                ("ingest --append, names", (*ingest, root / "named" / "s", "--append", *NAMES)),
                ("encrypt", (*encrypt, f"dataset:{root}/grown/s", "--output", root / "encall" / "s")),
                (
                    "encrypt --append",
                    (*encrypt, f"dataset:{root}/grown/s", "--output", root / "encgrown" / "s", "--append"),
                ),
            ):
                seconds.setdefault(name, []).append(run(*words))
        for name, append in (
            ("ingest", "ingest --append"),
            ("ingest", "ingest --append, names"),
            ("encrypt", "encrypt --append"),
        ):
            for kind, what in enumerate(("process", "job")):
                whole, added = (
                    statistics.median(pair[kind] for pair in seconds[side]) for side in (name, append)
                )
                met = "met" if added <= TARGET * whole else "not met"
                print(
                    f"{append:22} {what:8} all {whole:7.2f} s   {more} more {added:6.2f} s   "
                    f"{added / whole:6.1%} (target {TARGET:.0%}: {met})"
                )


if __name__ == "__main__":
    main()
