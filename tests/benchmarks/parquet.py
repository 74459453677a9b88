"""Parquet against TFRecord: writing and reading a shard's images, and what row groups of other sizes cost.

    python -m tests.benchmarks.parquet [--images 40000] [--repeats 5]

Both sides encode the same random 32×32×3 images, sum what they write, and decode it again, in this process, whose
processor time is measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lpe.pipeline import records
from lpe.pipeline.dataset.reader import BATCH_SIZE, ShardReader
from lpe.pipeline.engine.shard_file import ShardFile
from lpe.pipeline.records import RecordFormat, parquet_shard
from lpe.pipeline.records.bad_records import fail
from lpe.transforms.batch import ImageBatch
from tests.benchmarks.harness import Targets

SHAPE = (32, 32, 3)
RECORDS = RecordFormat(SHAPE)
ROWS = dataclasses.replace(RECORDS, file_format="parquet")
NAMES = tuple("0123456789")
GROUPS = (1 << 18, 1 << 20, 1 << 21, 1 << 22, 1 << 24, 1 << 26)


def write(path: Path, batch: ImageBatch, fmt: RecordFormat) -> float:
    """Seconds of processor time that it takes to write a shard, summed."""
    start = time.process_time()
    with path.open("wb") as opened:
        file = ShardFile(opened)
        parts = [batch[at : at + BATCH_SIZE] for at in range(0, len(batch), BATCH_SIZE)]
        if fmt.file_format == "parquet":
            writer = parquet_shard.Writer(file, fmt, NAMES)
            for part in parts:
                writer.write(part)
            writer.close()
        else:
            for part in parts:
                for rows in records.encoded_runs(part, fmt):
                    file.write(rows.reshape(-1))
    return time.process_time() - start


def read(path: Path, batch: ImageBatch, fmt: RecordFormat) -> float:
    """Seconds of processor time that it takes to read it."""
    start = time.process_time()
    for _ in ShardReader(str(path), fmt, len(batch), len(NAMES)).batches(fail("")):
        pass
    return time.process_time() - start


def alternated(
    repeats: int, measured: Callable[..., float], *sides: tuple[object, ...]
) -> list[tuple[float, ...]]:
    """What is measured of each side, in turn; a first round, in which modules are loaded, does not count."""
    rounds = [[measured(*side) for side in sides] for _ in range(repeats + 1)]
    return list(zip(*rounds[1:], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.images, *SHAPE), dtype=np.uint8)
    ids = [f"train-{i:07d}" for i in range(options.images)]
    batch = ImageBatch(ids, images, np.arange(options.images) % 10)
    targets = Targets({"write": ("<=", 1.5), "read": ("<=", 1.5)})
    with tempfile.TemporaryDirectory() as folder:
        rows, framed = Path(folder, "rows"), Path(folder, "records")
        sides = [(rows, batch, ROWS), (framed, batch, RECORDS)]
        targets.ratio("write", *alternated(options.repeats, write, *sides))
        targets.ratio("read", *alternated(options.repeats, read, *sides))
        targets.ratio("bytes", [rows.stat().st_size / 1e6], [framed.stat().st_size / 1e6], "MB")
        targets.print(f"Parquet against TFRecord, {options.images:,} images of 32×32×3")
        usual = parquet_shard.GROUP_BYTES
        for size in GROUPS:
            parquet_shard.GROUP_BYTES = size
            seconds = [(write(rows, batch, ROWS), read(rows, batch, ROWS)) for _ in range(options.repeats)]
            written, found = (statistics.median(side) for side in zip(*seconds, strict=True))
            print(
                f"row groups of {size / (1 << 20):g} MiB: written in {written:.2f} s, read in {found:.2f} s"
            )
        parquet_shard.GROUP_BYTES = usual


if __name__ == "__main__":
    main()
