"""What does a loop lose to reading? Run by hand: python -m tests.benchmarks.loading [torch|jax|input] [--images N]

Images/s of a training loop that is fed by `lpe.data.Shards`, divided by those of the same loop on plain arrays in
memory, shuffled and cut into batches by hand, for a network of a millisecond or two a batch of 128. PyTorch: by
DataLoaders of no and of two workers, and by `ShardsDataset`, where the loader shuffles; arrays are given to the same
loaders as well. Neighbours in time are compared: each ratio is the median of those of all rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from lpe.data import Shards
from tests.train.datasets import write_dataset

BATCH = 128
SHAPE = (32, 32, 3)
CLASSES = 3

Batches = Callable[[], Iterable[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frameworks", nargs="*", default=["input", "torch", "jax"])
    parser.add_argument("--images", type=int, default=6_400)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (options.images, *SHAPE), np.uint8)
    labels = random.integers(0, CLASSES, options.images)
    with tempfile.TemporaryDirectory() as place:
        home = write_dataset(f"{place}/toy", {"train": (images, labels)}, shards=8)

        def shards(memory_bytes: int) -> Shards:
            return Shards(home, batch_size=BATCH, shuffle=True, drop_rest=True, memory_bytes=memory_bytes)

        for name, memory_bytes in (("whole split shuffled", 1 << 40), ("streamed", images.nbytes // 2)):
            for framework in options.frameworks:
                loop = FRAMEWORKS[framework](images, labels, lambda size=memory_bytes: shards(size))
                times = measured(*loop, options.repeats)
                arrays = options.images / statistics.median(times["arrays"])
                print(
                    f"{framework}, {name}: arrays {arrays:,.0f} images/s ({BATCH / arrays * 1000:.2f} ms a batch)"
                )
                for feed, found in times.items():
                    if feed != "arrays":
                        pairs = zip(times["arrays"], found, strict=True)
                        ratio = statistics.median(plain / other for plain, other in pairs)
                        speed = options.images / statistics.median(found)
                        print(f"    {feed}: {speed:,.0f}, ratio {ratio:.2f}", flush=True)


def measured(
    step: Callable[[Any, Any], None], finish: Callable[[], object], feeds: dict[str, Batches], repeats: int
) -> dict[str, list[float]]:
    """Seconds of an epoch of each feed, round by round; `finish` waits for the last step."""
    times: dict[str, list[float]] = {name: [] for name in feeds}
    for repeat in range(repeats + 1):
        for name, feed in feeds.items():
            started = time.perf_counter()
            for images, labels in feed():
                step(images, labels)
            finish()
            if repeat:  # the first warms up
                times[name].append(time.perf_counter() - started)
    return times


def cut(images: Any, labels: Any) -> Iterator[tuple[Any, Any]]:
    """Batches of arrays by hand."""
    order = np.random.default_rng(0).permutation(len(images))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        rows = order[start : start + BATCH]
        yield images[rows], labels[rows]


def bare(images: np.ndarray, labels: np.ndarray, shards: Callable[[], Shards]) -> Any:
    """No network: what the input does alone."""
    found = shards()
    feeds = {"arrays": lambda: cut(images, labels), "Shards": lambda: found}
    return lambda images, labels: None, lambda: None, feeds


def torch_loops(images: np.ndarray, labels: np.ndarray, shards: Callable[[], Shards]) -> Any:
    """PyTorch."""
    import torch  # noqa: PLC0415
    from torch.utils.data import DataLoader, TensorDataset  # noqa: PLC0415

    from lpe.torch import ShardsDataset, ShardsIterable  # noqa: PLC0415

    model = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(images[0].size, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, CLASSES),
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    torch.set_num_threads(1)  # more would wait for each other where others use the cores
    tensors = torch.from_numpy(images), torch.from_numpy(labels)

    class Whole(torch.utils.data.IterableDataset):
        """Plain arrays in a DataLoader, as whole batches."""

        def __iter__(self) -> Iterator[Any]:
            worker = torch.utils.data.get_worker_info()
            for number, batch in enumerate(cut(*tensors)):
                if worker is None or number % worker.num_workers == worker.id:
                    yield batch

    def step(images: Any, labels: Any) -> None:
        loss = torch.nn.functional.cross_entropy(model(images / 127.5 - 1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def loader(dataset: Any, workers: int) -> Any:
        return DataLoader(dataset, batch_size=None, num_workers=workers, persistent_workers=workers > 0)

    def by_number(dataset: Any) -> Any:
        return DataLoader(
            dataset, BATCH, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True
        )

    loaders = {
        "Shards": loader(ShardsIterable(shards()), 0),
        "Shards, 2 workers": loader(ShardsIterable(shards()), 2),
        "Shards by number, 2 workers": by_number(ShardsDataset(shards())),
        "arrays, 2 workers": loader(Whole(), 2),
        "arrays by number, 2 workers": by_number(TensorDataset(*tensors)),
    }
    feeds = {name: (lambda found=found: found) for name, found in loaders.items()}
    return step, lambda: None, {"arrays": lambda: cut(*tensors), **feeds}


def jax_loops(images: np.ndarray, labels: np.ndarray, shards: Callable[[], Shards]) -> Any:
    """JAX."""
    import jax  # noqa: PLC0415
    import jax.numpy as jnp  # noqa: PLC0415

    from lpe.jax import DeviceBatches  # noqa: PLC0415

    random = np.random.default_rng(0)
    weights = [
        jnp.asarray(random.normal(0, 0.01, size), jnp.float32)
        for size in ((images[0].size, 64), (64, CLASSES))
    ]

    def loss(weights: Any, images: Any, labels: Any) -> Any:
        hidden = jax.nn.relu((images / 127.5 - 1).reshape(len(images), -1) @ weights[0])
        logits = jax.nn.log_softmax(hidden @ weights[1])
        return -jnp.take_along_axis(logits, labels[:, None], axis=1).mean()

    @jax.jit
    def update(weights: Any, images: Any, labels: Any) -> Any:
        found = jax.grad(loss)(weights, images, labels)
        return [weight - 0.01 * gradient for weight, gradient in zip(weights, found, strict=True)]

    def step(images: Any, labels: Any) -> None:
        nonlocal weights
        weights = update(weights, images, labels)  # which JAX does while the next batch is read

    found, on_device = shards(), DeviceBatches(shards())
    feeds = {
        "arrays": lambda: cut(images, labels),
        "Shards": lambda: found,
        "DeviceBatches": lambda: on_device,
    }
    return step, lambda: jax.block_until_ready(weights), feeds


FRAMEWORKS = {"input": bare, "torch": torch_loops, "jax": jax_loops}


if __name__ == "__main__":
    main()
