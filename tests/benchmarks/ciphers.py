"""MB/s of every scheme, as a ratio to `np.copyto` of the same bytes and to lpe-100, and the time of one long keystream.

    python -m tests.benchmarks.ciphers

With one key per image the time to derive the keys is given apart: it is paid once per image. All figures are of one
run; wall time, medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from lpe.transforms import ciphers
from lpe.transforms.ciphers import logistic

REPEATS = 5
CASES = [((32, 32, 3), 8192, 512), ((224, 224, 3), 160, 16)]  # shape, images, images with a key each
PIXELS = 6000 * 4000  # of the long keystream
STEPS = 20_000  # of the loop that it is compared with
TARGET = 0.06


def seconds(work: Callable[[], object]) -> float:
    """Median of `REPEATS`, after one to warm up."""
    taken = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def measure(name: str, images: np.ndarray, secrets: list[bytes] | None) -> tuple[float, float, float, float]:
    """Seconds of encryption, decryption, a copy, and of making the cipher, the last one for each key."""
    height, width, channels = images.shape[1:]
    shape = (height, width, channels)
    start = time.perf_counter()
    if secrets is None:
        cipher = ciphers.create(name, secret=bytes(range(32)), image_shape=shape)
    else:
        cipher = ciphers.create(name, secrets=secrets, image_shape=shape)
    derived = (time.perf_counter() - start) / cipher.keys
    target = np.empty_like(images)
    copied = seconds(lambda: np.copyto(target, images))
    encrypted = cipher.encrypt(images)
    return (
        seconds(lambda: cipher.encrypt(images)),
        seconds(lambda: cipher.decrypt(encrypted)),
        copied,
        derived,
    )


def compare(title: str, images: np.ndarray, secrets: list[bytes] | None) -> Table:
    """All schemes on the same images."""
    taken = {name: measure(name, images, secrets) for name in ciphers.names()}
    table = Table(title=title, title_justify="left")
    for head in ("cipher", "encrypt MB/s", "/ copy", "/ lpe-100", "decrypt MB/s", "/ copy", "key ms"):
        table.add_column(head, justify="left" if head == "cipher" else "right", no_wrap=head == "cipher")
    for name, (encrypted, decrypted, copied, derived) in taken.items():
        table.add_row(
            name,
            f"{images.nbytes / encrypted / 1e6:,.0f}",
            f"{copied / encrypted:.3f}",
            f"{taken['lpe-100'][0] / encrypted:.2f}",
            f"{images.nbytes / decrypted / 1e6:,.0f}",
            f"{copied / decrypted:.3f}",
            f"{derived * 1e3:.2f}",
        )
    return table


def numpy_keystream(mu: float, d0: float, length: int) -> np.ndarray:
    """One key's keystream by NumPy's scalars, all of its doubles kept: what is compared with."""
    d = np.empty((length, 1))
    value = np.array([d0])
    for i in range(length):
        value = np.multiply(mu * value, 1.0 - value, out=d[i])
    assert not (d[:-1] == d[-1]).any()
    return (((d / 2.0) * 1e14).astype(np.int64) & 0xFF).astype(np.uint8)


def keystream() -> str:
    """The row of the long keystream. The loop's time is in proportion to its length."""
    mu, d0 = 3.9957, 0.3
    loop = seconds(lambda: numpy_keystream(mu, d0, STEPS)) / STEPS * PIXELS
    start = time.perf_counter()
    logistic.walk(np.array([mu]), np.array([d0]), PIXELS)
    taken = time.perf_counter() - start
    return (
        f"keystream of one key, {PIXELS / 1e6:.0f} megapixels: {taken:.1f} s, NumPy's scalars {loop:.0f} s; "
        f"ratio {taken / loop:.3f}, target {TARGET}, met: {'yes' if taken <= TARGET * loop else 'NO'}"
    )


def main() -> None:
    rng = np.random.default_rng(0)
    for shape, count, keyed in CASES:
        images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        secrets = [i.to_bytes(32, "big") for i in range(keyed)]
        for scope, chosen, given in (("dataset", images, None), ("image", images[:keyed], secrets)):
            size = "x".join(map(str, shape))
            Console().print(compare(f"{size}, one key per {scope}, {len(chosen)} images", chosen, given))
    Console().print(keystream())


if __name__ == "__main__":
    main()
