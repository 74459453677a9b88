"""What a dataset costs on Dataflow: processor time measured here, the rest by arithmetic: deploy/SIZING.md's tables.

    python -m tests.benchmarks.sizing [--images 60000]

Processor seconds are those of `lpe`'s process, by Beam's local runner, less those of the same command on a hundred
images: waiting and other work on this machine do not count. At gs:// the emulator answers, on loopback and without TLS.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from lpe.pipeline.sources.plan import RECORD_BYTES
from lpe.pipeline.sources.splits import shard_bounds
from lpe.pipeline.sources.synthetic import draw
from tests.benchmarks.harness import LPE, Bench
from tests.servers.gcs import gcs_server, make_bucket, metadata_service

PHOTOGRAPH = (375, 500)  # as most of ImageNet's


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one job: processor seconds, bytes of the images as arrays, peak memory in bytes."""

    seconds: float
    size: int
    memory: int

    @property
    def per_gigabyte(self) -> float:
        return self.seconds / self.size * 1e9


@dataclasses.dataclass(frozen=True)
class Prices:
    """Dataflow batch workers and Cloud Storage, us-central1, US dollars; look them up before you count on them."""

    vcpu_hour: float = 0.056
    memory_gigabyte_hour: float = 0.003557
    disk_gigabyte_hour: float = 0.000054
    class_a_thousand: float = 0.005
    class_b_thousand: float = 0.0004
    storage_gigabyte_month: float = 0.02


@dataclasses.dataclass(frozen=True)
class Workers:
    """The machines, and what is assumed of them."""

    number: int
    vcpus: int = 4
    memory_gigabytes: int = 16
    disk_gigabytes: int = 30
    core_per_vcpu: float = 0.5  # a vCPU is one of a core's two threads
    start: float = 240.0  # seconds until they work, and after
    copies_per_second: float = 160.0  # the commit's: eight at a time, 50 ms each


def gigabytes(size: float) -> str:
    return f"{size / 1e9:,.2f} GB" if size < 1e12 else f"{size / 1e12:,.1f} TB"


# A process starts with the peak memory of the one that starts it: a small one.
_MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.stdout, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]))
sys.exit(done.returncode)
"""


def measured(command: list[str], environment: dict[str, str]) -> tuple[dict, float, int]:
    """The command's JSON, its processor seconds, its peak memory in bytes."""
    words = [sys.executable, "-c", _MEASURE, LPE, *command, "--json"]
    done = subprocess.run(
        words, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: not measured\n{done.stdout}")
    text, seconds, memory = json.loads(done.stdout)
    return json.loads(text), seconds, memory


def pictures(path: Path, count: int) -> str:
    """A .tar of JPEGs of a photograph's size; the source's URI."""
    with tarfile.open(path, "w") as archive:
        for i in range(count):
            small = draw(0, "train", np.array([i]))[0][0]
            data = io.BytesIO()
            Image.fromarray(small).resize(PHOTOGRAPH[::-1], Image.Resampling.BICUBIC).save(
                data, "jpeg", quality=90
            )
            member = tarfile.TarInfo(f"class{i % 10}/{i}.jpg")
            member.size = data.tell()
            data.seek(0)
            archive.addfile(member, data)
    return f"folder:{path}"


class Measurements:
    """Jobs on inputs of two sizes each: the smaller one is the start-up."""

    def __init__(self, root: Path, images: int) -> None:
        self.root = root
        self.benches = [Bench(root / name, n, 1) for name, n in (("few", 120), ("many", images))]
        for bench in self.benches:
            bench.root.mkdir()

    def cost(self, name: str, *commands: list[str], environment: dict[str, str] | None = None) -> Cost:
        """Of the second command over that of the first."""
        (few, spent, _), (many, seconds, memory) = (
            measured([*command, "--runner=DirectRunner"], environment or {}) for command in commands
        )
        sizes = [sum(split["bytes"] for split in each["splits"].values()) for each in (few, many)]
        cost = Cost(seconds - spent, sizes[1] - sizes[0], memory)
        print(f"| {name} | {cost.per_gigabyte:.1f} | {memory / 1e6:,.0f} MB |", flush=True)
        return cost

    def encrypting(self, source: Path | str, to: str, bench: Bench) -> list[str]:
        places = ["--source", f"dataset:{source}", "--output", f"{to}/enc", "--keystore", bench.keys]
        return ["encrypt", *places, "--key", "bench"]


def measure(root: Path, images: int) -> dict[str, Cost]:
    jobs = Measurements(root, images)
    few, many = jobs.benches
    found = {}

    def encrypt(name: str, sources: tuple[Path, Path], roots: tuple[str, str]) -> None:
        commands = (
            jobs.encrypting(source, to, bench)
            for source, to, bench in zip(sources, roots, (few, many), strict=True)
        )
        found[name] = jobs.cost(name, *commands)

    print("| job | processor seconds a GB of images | peak memory |\n|---|---|---|", flush=True)
    encrypt("encrypt 32×32×3", (few.small, many.small), (f"{root}/a0", f"{root}/a1"))
    encrypt("encrypt 224×224×3", (few.pictures, many.pictures), (f"{root}/b0", f"{root}/b1"))
    for bench in (few, many):
        measured(["keys", "rotate", "bench", "--keystore", bench.keys], {})
    found["reencrypt 32×32×3"] = jobs.cost(
        "reencrypt 32×32×3",
        *(["reencrypt", f"{root}/a{i}/enc", "--keystore", b.keys] for i, b in enumerate((few, many))),
    )
    found["reencrypt 224×224×3"] = jobs.cost(
        "reencrypt 224×224×3",
        *(["reencrypt", f"{root}/b{i}/enc", "--keystore", b.keys] for i, b in enumerate((few, many))),
    )
    sources = [pictures(root / f"{name}.tar", count) for name, count in (("p0", 10), ("p1", images // 30))]
    found["ingest JPEG"] = jobs.cost(
        "ingest JPEG 500×375 as 224×224×3",
        *(
            ["ingest", "--source", source, "--output", f"{root}/c{i}/p", "--image-size", "224x224"]
            for i, source in enumerate(sources)
        ),
    )
    with bucket() as environment:
        for i, bench in enumerate((few, many)):
            copied = ["ingest", "--source", f"dataset:{bench.pictures}", "--output", f"gs://bucket/d{i}/p"]
            measured(copied, environment)
        found["encrypt at gs://"] = jobs.cost(
            "encrypt 224×224×3 at gs://",
            *(
                jobs.encrypting(f"gs://bucket/d{i}/p", f"gs://bucket/e{i}", bench)
                for i, bench in enumerate((few, many))
            ),
            environment=environment,
        )
    return found


@contextlib.contextmanager
def bucket() -> Iterator[dict[str, str]]:
    with gcs_server() as url, metadata_service() as host:
        make_bucket(url, "bucket")
        yield {"STORAGE_EMULATOR_HOST": url, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}


def scenario(name: str, images: int, size: int, costs: dict[str, Cost], workers: Workers) -> str:
    """A line of the table: shards, time and price of each job."""
    prices = Prices()
    stored = size + RECORD_BYTES
    total = images * stored
    shards = len(shard_bounds(images, stored))
    kind = "32×32×3" if size < 10_000 else "224×224×3"
    overhead = costs["encrypt at gs://"].per_gigabyte - costs["encrypt 224×224×3"].per_gigabyte
    cells = [
        name,
        f"{images:,}",
        gigabytes(total),
        f"{shards:,}",
        gigabytes(total / shards),
        str(workers.number),
    ]
    for job in (f"encrypt {kind}", f"reencrypt {kind}", "ingest JPEG"):
        if job == "ingest JPEG" and kind == "32×32×3":
            cells.append("")
            continue
        reads = 2 if job.startswith("reencrypt") else 1  # it reads what it wrote
        per_gigabyte = costs[job].per_gigabyte + overhead * (1 + reads) / 2
        work = total / 1e9 * per_gigabyte / workers.core_per_vcpu / (workers.vcpus * workers.number)
        hours = (workers.start + work + shards / workers.copies_per_second) / 3600
        machine = (
            workers.vcpus * prices.vcpu_hour
            + workers.memory_gigabytes * prices.memory_gigabyte_hour
            + workers.disk_gigabytes * prices.disk_gigabyte_hour
        )
        # Written: shard, receipt, the published copy; read: shard, and what is asked before.
        requests = shards * (3 * prices.class_a_thousand + 4 * prices.class_b_thousand) / 1000
        price = hours * machine * workers.number + requests
        cells.append(f"{60 * hours:,.0f} min, ${price:,.2f}")
    cells.append(f"${total / 1e9 * prices.storage_gigabyte_month:,.2f}")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=60_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lpe-sizing-") as root:
        costs = measure(Path(root), given.images)
    print(
        "\n| dataset | images | size | shards | of | workers | encrypt | reencrypt | ingest | stored, a month |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, images, side, number in (
        ("CIFAR-10", 60_000, 32, 1),
        ("ImageNet at 224×224", 1_281_167, 224, 4),
        ("LAION-400M at 32×32", 400_000_000, 32, 16),
        ("LAION-400M at 256×256", 400_000_000, 256, 100),
    ):
        print(scenario(name, images, side * side * 3, costs, Workers(number)))


if __name__ == "__main__":
    main()
