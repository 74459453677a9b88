"""Is the input the bottleneck of training? Run by hand: python -m tests.benchmarks.training_input [--images N]

Prints images/s of the input alone, of a training loop that is fed by shards, and of the same loop on arrays in memory,
for a network of a millisecond or two a batch of 128; then the ratio of the two loops (1: reading costs nothing).
Keras's backend is as for `lpe train`; KERAS_BACKEND chooses another.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np

from lpe.pipeline.dataset import open_dataset
from lpe.train import backend
from lpe.train.loading.examples import Examples
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.inputs import EpochClock, training_input
from tests.train.datasets import write_dataset

BATCH = 128
SHAPE = (32, 32, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=25_600)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    keras = backend.prepare(0, "float32")
    from lpe.train.batches import Batches  # noqa: PLC0415  (imports Keras)

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (options.images, *SHAPE), np.uint8)
    labels = random.integers(0, 3, options.images)
    with tempfile.TemporaryDirectory() as place:
        splits = {"train": (images, labels), "validation": (images[:100], labels[:100])}
        dataset = open_dataset(write_dataset(f"{place}/toy", splits, shards=8))

        def source(memory_bytes: int) -> Examples:
            return training_input(
                ShardFiles(dataset),
                batch_size=BATCH,
                seed=0,
                validation_fraction=0.1,
                memory_bytes=memory_bytes,
            ).train

        model = keras.Sequential(
            [
                keras.layers.Rescaling(1 / 127.5, offset=-1.0),
                keras.layers.Flatten(),
                keras.layers.Dense(64, activation="relu"),
                keras.layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")

        def arrays() -> None:
            model.fit(images, labels, batch_size=BATCH, verbose=0)

        for name, memory_bytes in (("held in memory", 1 << 40), ("streamed", images.nbytes // 2)):
            examples, clock = source(memory_bytes), EpochClock()

            def alone(examples: Examples = examples) -> None:
                for number in range(examples.steps):
                    examples.batch(0, number)

            def shards(examples: Examples = examples, clock: EpochClock = clock) -> None:
                model.fit(Batches(examples, clock), shuffle=False, verbose=0)

            for warm_up in (alone, shards, arrays):
                warm_up()
            times = {work: [] for work in (alone, shards, arrays)}
            for _ in range(options.repeats):
                for work, found in times.items():
                    found.append(_seconds(work))
            speed = {work: options.images / statistics.median(found) for work, found in times.items()}
            step = BATCH / speed[arrays] * 1000
            print(
                f"{keras.config.backend()}, shards {name}: input alone {speed[alone]:,.0f} images/s; training loop "
                f"{speed[shards]:,.0f}, on arrays {speed[arrays]:,.0f} ({step:.1f} ms a batch); ratio "
                f"{speed[shards] / speed[arrays]:.2f}",
                flush=True,
            )


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
