"""Loaders side by side on the same encrypted images, in PyTorch: `lpe.torch`, a folder of PNG files, litData.

Run by hand in an environment with `lpe[torch]`, torchvision and litdata:
python -m tests.benchmarks.neighbours [--images N]

Each loader feeds the same loop, a network of a millisecond a batch of 128, from two worker processes. Printed are
images/s from the second epoch on, the seconds from a process's start to its first batch, and the bytes on disk; then
each of these of `lpe`, divided by the best of the others.
"""

# ruff: noqa: PLC0415  (each side pays for its own imports)

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import lpe

BATCH = 128
WORKERS = 2
EPOCHS = 4
ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=24_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", choices=sorted(_LOADERS))
    parser.add_argument("--data")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(_measure(options.side, options.data)))
        return
    with tempfile.TemporaryDirectory() as work:
        places = _make(Path(work), options.images)
        found: dict[str, list[dict[str, float]]] = {side: [] for side in _LOADERS}
        for side in [*_LOADERS] * options.repeats:
            command = (sys.executable, "-m", __spec__.name, "--side", side, "--data", str(places[side]))
            out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
            found[side].append(json.loads(out.splitlines()[-1]))
        sizes = {side: _bytes(place) for side, place in places.items()}
    rows = {side: _median(runs) | {"bytes": sizes[side]} for side, runs in found.items()}
    for side, row in rows.items():
        print(
            f"{side:8} {row['speed']:10,.0f} images/s   {row['start']:5.2f} s to the first batch   "
            f"{row['bytes'] / 1e6:7.1f} MB"
        )
    ours, others = rows.pop("lpe"), list(rows.values())
    print(
        f"lpe / the best other: images/s {ours['speed'] / max(row['speed'] for row in others):.2f}, start-up "
        f"{ours['start'] / min(row['start'] for row in others):.2f}, bytes "
        f"{ours['bytes'] / min(row['bytes'] for row in others):.2f}"
    )


def _make(work: Path, images: int) -> dict[str, Path]:
    """The same images as each loader's files."""
    import litdata
    from PIL import Image

    from lpe.data import Shards

    lpe.KeyStore(f"{work}/keys").create("bench")
    plain = lpe.ingest(lpe.JobSpec(lpe.ReadSpec(f"synthetic:{images}"), f"{work}/plain"))
    source = lpe.ReadSpec(f"dataset:{plain.dataset.directory}")
    key = lpe.KeyRef(f"{work}/keys", "bench")
    lpe.encrypt(lpe.JobSpec(source, f"{work}/encrypted"), lpe.CipherChoice("lpe-100"), key)
    ours = work / "encrypted" / "1.0.0"
    folder, chunks = work / "png", work / "litdata"
    pixels, labels = [], []
    for batch_pixels, batch_labels in Shards(str(ours), "train", batch_size=1024, shuffle=False):
        pixels.append(batch_pixels)
        labels.append(batch_labels)
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    numbered = enumerate(zip(np.concatenate(pixels), np.concatenate(labels).tolist(), strict=True))
    for number, (image, label) in numbered:
        Image.fromarray(image).save(folder / str(label) / f"{number:07d}.png", compress_level=1)
    examples = list(zip(np.concatenate(pixels), np.concatenate(labels).tolist(), strict=True))
    litdata.optimize(
        fn=_as_it_is,
        inputs=examples,
        output_dir=str(chunks),
        chunk_bytes="64MB",
        num_workers=1,
        verbose=False,
    )
    return {"lpe": ours, "png": folder, "litdata": chunks}


def _as_it_is(example: tuple[np.ndarray, int]) -> dict[str, Any]:
    import torch

    return {"image": torch.from_numpy(example[0].copy()), "label": example[1]}


def _lpe(data: str) -> Iterable[Any]:
    from torch.utils.data import DataLoader

    from lpe.data import Shards
    from lpe.torch import ShardsIterable

    shards = Shards(data, batch_size=BATCH, shuffle=True)
    return DataLoader(ShardsIterable(shards), batch_size=None, num_workers=WORKERS)


def _png(data: str) -> Iterable[Any]:
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import PILToTensor

    folder = ImageFolder(data, PILToTensor())
    return DataLoader(folder, batch_size=BATCH, shuffle=True, num_workers=WORKERS)


def _litdata(data: str) -> Iterable[Any]:
    import litdata

    dataset = litdata.StreamingDataset(data, shuffle=True)
    loader = litdata.StreamingDataLoader(dataset, batch_size=BATCH, num_workers=WORKERS)
    return ((batch["image"], batch["label"]) for batch in loader)


_LOADERS: dict[str, Callable[[str], Iterable[Any]]] = {"lpe": _lpe, "png": _png, "litdata": _litdata}


def _measure(side: str, data: str) -> dict[str, float]:
    """Images/s of a small loop after its first epoch, and the seconds to the first batch."""
    started = time.perf_counter()
    import torch

    torch.set_num_threads(1)
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(3072, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    first = None
    images, seconds = 0, []
    for epoch in range(EPOCHS):
        begun = time.perf_counter()
        images = 0
        for pixels, labels in itertools.chain(_LOADERS[side](data)):
            first = first or time.perf_counter()
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(pixels.float() / 127.5 - 1), labels)
            loss.backward()
            optimizer.step()
            images += len(labels)
        if epoch:
            seconds.append(time.perf_counter() - begun)
    return {"speed": images / statistics.median(seconds), "start": first - started}


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _bytes(place: Path) -> int:
    return sum(
        path.stat().st_size for path in place.rglob("*") if path.is_file() and "-test." not in path.name
    )


if __name__ == "__main__":
    main()
