"""MB/s of every scheme, as a ratio to `np.copyto` of the same bytes in the same run.

    python -m tests.benchmarks.ciphers

With one key per image the time to derive the keys is given apart: it is paid once per image.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from lpe.transforms import ciphers

REPEATS = 5
CASES = [((32, 32, 3), 8192, 512), ((224, 224, 3), 160, 16)]  # shape, images, images with a key each


def seconds(work: Callable[[], object]) -> float:
    """Median of `REPEATS`, after one to warm up."""
    taken = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def measure(name: str, images: np.ndarray, secrets: list[bytes] | None) -> list[str]:
    height, width, channels = images.shape[1:]
    shape = (height, width, channels)
    start = time.perf_counter()
    if secrets is None:
        cipher = ciphers.create(name, secret=bytes(range(32)), image_shape=shape)
    else:
        cipher = ciphers.create(name, secrets=secrets, image_shape=shape)
    derived = time.perf_counter() - start
    target = np.empty_like(images)
    copied = seconds(lambda: np.copyto(target, images))
    encrypted = cipher.encrypt(images)
    cells = []
    for work in (lambda: cipher.encrypt(images), lambda: cipher.decrypt(encrypted)):
        taken = seconds(work)
        cells += [f"{images.nbytes / taken / 1e6:,.0f}", f"{copied / taken:.3f}"]
    return [*cells, f"{derived / (1 if secrets is None else len(images)) * 1e3:.2f}"]


def main() -> None:
    rng = np.random.default_rng(0)
    for shape, count, keyed in CASES:
        images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        secrets = [i.to_bytes(32, "big") for i in range(keyed)]
        for scope, chosen, given in (("dataset", images, None), ("image", images[:keyed], secrets)):
            size = "x".join(map(str, shape))
            table = Table(title=f"{size}, one key per {scope}, {len(chosen)} images", title_justify="left")
            for head in ("cipher", "encrypt MB/s", "/ copy", "decrypt MB/s", "/ copy", "key ms"):
                table.add_column(head, justify="left" if head == "cipher" else "right")
            for name in ciphers.names():
                table.add_row(name, *measure(name, chosen, given))
            Console().print(table)


if __name__ == "__main__":
    main()
