"""Small image files and official CIFAR layouts, made by the tests themselves."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = [f"class{i}" for i in range(10)]


def encoded(pixels: np.ndarray, kind: str = "png") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1:] == (1,) else pixels).save(out, kind)
    return out.getvalue()


def pixels(seed: int, shape: tuple[int, ...] = (8, 8, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def pack(files: dict[str, bytes], path: Path) -> Path:
    """The files as a .tar, .tar.gz or .zip, by the path's ending."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def cifar_batch(seed: int, count: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Labels uint8 [N], and data uint8 [N, 3072] as planes."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, count, dtype=np.uint8), rng.integers(
        0, 256, (count, 3072), dtype=np.uint8
    )


def cifar10(python: bool, count: int = 6) -> dict[str, bytes]:
    """The files of CIFAR-10 with `count` records each, in one of the official layouts."""
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    batches = {name: cifar_batch(seed, count) for seed, name in enumerate(names)}
    if python:
        files = {
            name: python2_pickle(
                {
                    "data": data,
                    "labels": labels.tolist(),
                    "filenames": [f"{name}_{i}.png" for i in range(count)],
                }
            )
            for name, (labels, data) in batches.items()
        }
        files["batches.meta"] = python2_pickle({"label_names": CLASSES})
    else:
        files = {
            f"{name}.bin": np.concatenate([labels[:, None], data], axis=1).tobytes()
            for name, (labels, data) in batches.items()
        }
        files["batches.meta.txt"] = "".join(f"{name}\n" for name in CLASSES).encode() + b"\n"
    folder = "cifar-10-batches-py" if python else "cifar-10-batches-bin"
    return {f"{folder}/{name}": data for name, data in files.items()}


def cifar100(python: bool, count: int = 20) -> dict[str, bytes]:
    """The files of CIFAR-100."""
    fine = [f"fine{i}" for i in range(100)]
    files = {}
    for seed, name in enumerate(("train", "test")):
        labels, data = cifar_batch(seed, count, 100)
        if python:
            value = {"data": data, "fine_labels": labels.tolist(), "coarse_labels": (labels // 5).tolist()}
            files[name] = python2_pickle(value)
        else:
            files[f"{name}.bin"] = np.concatenate(
                [labels[:, None] // 5, labels[:, None], data], axis=1
            ).tobytes()
    if python:
        files["meta"] = python2_pickle({"fine_label_names": fine, "coarse_label_names": fine[:20]})
    else:
        files["fine_label_names.txt"] = "\n".join(fine).encode()
        files["coarse_label_names.txt"] = "\n".join(fine[:20]).encode()
    return {f"cifar-100/{name}": data for name, data in files.items()}


def python2_pickle(value: dict[str, object]) -> bytes:
    """A pickle as NumPy 1 wrote it: protocol 2 and the old module names."""
    return pickle.dumps(value, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
