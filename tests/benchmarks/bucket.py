"""Does a bucket slow training down? Run by hand: python -m tests.benchmarks.bucket [--images N]

A dataset three times as large as its cache, from the S3 emulator on this machine, against the same files on disk:
images/s of epochs after the first, in turn (ABAB), of the input alone, of a consumer that waits, and of training the
network `cnn`; and how much of each epoch was downloaded. The emulator takes part of the same cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.dataset.cached import opener
from lpe.pipeline.storage import download
from lpe.train import backend, models
from lpe.train.loading.examples import Examples
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.inputs import EpochClock, training_input
from tests.servers.environment import services_at
from tests.servers.moto import ENVIRONMENT, moto_server
from tests.train.datasets import CLASSES, write_dataset

BATCH = 128
SHAPE = (32, 32, 3)
SHARDS = 24
TARGET = 0.9
PACE = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (options.images, *SHAPE), np.uint8)
    labels = random.integers(0, len(CLASSES), options.images)
    splits = {"train": (images, labels), "validation": (images[:100], labels[:100])}
    with (
        tempfile.TemporaryDirectory() as place,
        moto_server() as url,
        services_at({**ENVIRONMENT, "AWS_ENDPOINT_URL": url}),
    ):
        home = write_dataset(f"{place}/toy", splits, shards=SHARDS)
        _upload(home)
        room = images.nbytes // 3
        sides = {
            "bucket": _input("s3://bucket/toy", f"{place}/cache", room),
            "disk": _input(home, None, room),
        }
        _compare("input alone", sides, _alone, options)
        _compare(f"a device that takes {PACE:,} images/s", sides, _paced, options)
        _compare("cnn", sides, _trained(), options)


def _upload(home: str) -> None:
    from lpe.pipeline.storage import s3  # noqa: PLC0415  (boto3, which may not be installed)

    s3.client().create_bucket(Bucket="bucket")
    for path in Path(home, "1.0.0").iterdir():
        s3.client().put_object(Bucket="bucket", Key=f"toy/1.0.0/{path.name}", Body=path.read_bytes())


def _input(data: str, cache: str | None, room: int) -> Examples:
    dataset = open_dataset(data)
    files = ShardFiles(dataset, opener(dataset.directory, cache, room))
    # The same windows on both sides.
    return training_input(files, batch_size=BATCH, seed=0, validation_fraction=0.1, memory_bytes=room).train


def _alone(examples: Examples, epoch: int) -> None:
    for number in range(examples.steps):
        examples.batch(epoch, number)


def _paced(examples: Examples, epoch: int) -> None:
    """Takes batches as fast as a network on a device of its own would, without a core of this machine."""
    for number in range(examples.steps):
        examples.batch(epoch, number)
        time.sleep(BATCH / PACE)


def _trained() -> Callable[[Examples, int], None]:
    keras = backend.prepare(0, "float32")
    from lpe.train.batches import Batches  # noqa: PLC0415  (imports Keras)

    model = models.build("cnn", SHAPE, len(CLASSES), "none", None)
    model.compile(optimizer=keras.optimizers.AdamW(), loss=keras.losses.SparseCategoricalCrossentropy())

    def train(examples: Examples, epoch: int) -> None:
        model.fit(Batches(examples, EpochClock(epoch)), shuffle=False, verbose=0)

    return train


def _compare(
    name: str,
    sides: dict[str, Examples],
    work: Callable[[Examples, int], None],
    options: argparse.Namespace,
) -> None:
    times: dict[str, list[float]] = {side: [] for side in sides}
    for side in sides.values():
        work(side, 0)
    with mock.patch.object(download, "download", wraps=download.download) as downloads:
        for epoch in range(1, options.repeats + 1):
            for side, examples in sides.items():
                start = time.perf_counter()
                work(examples, epoch)
                times[side].append(time.perf_counter() - start)
    speeds = {side: options.images / statistics.median(found) for side, found in times.items()}
    ratio = statistics.median(
        disk / bucket for bucket, disk in zip(times["bucket"], times["disk"], strict=True)
    )
    fetched = downloads.call_count / SHARDS / options.repeats
    verdict = "met" if ratio >= TARGET else "missed"
    print(
        f"{name}: bucket {speeds['bucket']:,.0f} images/s, disk {speeds['disk']:,.0f} images/s; ratio {ratio:.2f} "
        f"(target {TARGET}: {verdict}); {fetched:.0%} of an epoch was downloaded"
    )


if __name__ == "__main__":
    main()
