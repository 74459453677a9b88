"""An adversary's edits of a version: whatever they change, all that can be computed without a key is right again."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from lpe.pipeline import records
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.records import RecordFormat
from lpe.transforms.batch import ImageBatch


@dataclasses.dataclass(frozen=True)
class Example:
    """One record."""

    id: str
    image: np.ndarray
    label: int


@dataclasses.dataclass
class Version:
    """Everything in a version directory, to be changed at will.

    Attributes:
      directory: where it is.
      manifest_file: manifest.json or encryption.json.
      manifest, info, features: the content of the JSON files; the manifest without shards, files and sha256.
      class_names: a line each.
      format: how records are laid out.
      shards: the examples of each shard of each split.
      others: further files by name, such as ids.parquet; None removes one.
    """

    directory: Path
    manifest_file: str
    manifest: dict[str, Any]
    info: dict[str, Any]
    features: dict[str, Any]
    class_names: list[str]
    format: RecordFormat
    shards: dict[str, list[list[Example]]]
    others: dict[str, bytes | None]

    def write(self) -> None:
        """Puts it where it was, with lengths, sizes and checksums that go with it."""
        name, version_one = self.info["name"], self.manifest["format_version"] == 1
        for file in self.directory.glob("*.tfrecord-*"):
            file.unlink()
        shards: dict[str, list[dict[str, Any]]] = {}
        for split, part in self.shards.items():
            shards[split] = []
            for index, examples in enumerate(part):
                file = f"{name}-{split}.tfrecord-{index:05d}-of-{len(part):05d}"
                data = encoded(examples, self.format)
                (self.directory / file).write_bytes(data)
                entry = {
                    "file": file,
                    "examples": len(examples),
                    "bytes": len(data),
                    "crc32c": f"{google_crc32c.value(data):08x}",
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
                if version_one:
                    del entry["sha256"]
                shards[split].append(entry)
        templates = {split["name"]: split.get("filepathTemplate") for split in self.info["splits"]}
        self.info["splits"] = [
            {
                "filepathTemplate": templates.get(split, "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"),
                "name": split,
                "numBytes": str(sum(entry["bytes"] for entry in part)),
                "shardLengths": [str(entry["examples"]) for entry in part],
            }
            for split, part in shards.items()
        ]
        files = {
            "label.labels.txt": "".join(f"{line}\n" for line in self.class_names).encode(),
            "features.json": _to_bytes(self.features),
            "dataset_info.json": _to_bytes(self.info),
            **self.others,
        }
        for file, content in files.items():
            if content is None:
                (self.directory / file).unlink(missing_ok=True)
            else:
                (self.directory / file).write_bytes(content)
        digests = {
            file: hashlib.sha256(content).hexdigest()
            for file, content in files.items()
            if content is not None
        }
        for file in ("manifest.json", "encryption.json"):
            (self.directory / file).unlink(missing_ok=True)
        value = {**self.manifest, "files": digests, "shards": shards}
        if "mac" in value:
            value["mac"] = value.pop("mac")  # at the end, as it is written
        if version_one:
            del value["files"]
        write_manifest(self.directory / self.manifest_file, value)


def read(directory: Path) -> Version:
    """Reads a sound version."""
    data = open_dataset(str(directory))
    manifest_file = "encryption.json" if data.encrypted else "manifest.json"
    manifest = json.loads((directory / manifest_file).read_bytes())
    files = manifest.get("files", {})
    shards = {
        split: [examples_of(Path(p), data.format) for p in data.shard_paths(split)] for split in data.splits
    }
    return Version(
        directory,
        manifest_file,
        {key: value for key, value in manifest.items() if key not in ("files", "shards", "sha256")},
        json.loads((directory / "dataset_info.json").read_bytes()),
        json.loads((directory / "features.json").read_bytes()),
        list(data.class_names),
        data.format,
        shards,
        {
            name: (directory / name).read_bytes()
            for name in files
            if name not in ("label.labels.txt", "features.json", "dataset_info.json")
        },
    )


def edit(directory: Path, change: Callable[[Version], None]) -> None:
    """Changes a version, and recomputes everything that needs no key."""
    version = read(directory)
    change(version)
    version.write()


def edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes one JSON file; nothing else goes with it, but for a manifest its own checksum."""
    value = json.loads(path.read_bytes())
    change(value)
    if path.name in ("manifest.json", "encryption.json"):
        write_manifest(path, value)
    else:
        path.write_bytes(_to_bytes(value))


def commit_files(directory: Path) -> None:
    """Brings a manifest's checksums of the other metadata files up to date."""
    for manifest in (directory / "manifest.json", directory / "encryption.json"):
        if manifest.exists():

            def digests(value: dict[str, Any]) -> None:
                for name in value.get("files", {}):
                    value["files"][name] = hashlib.sha256((directory / name).read_bytes()).hexdigest()

            edit_json(manifest, digests)


def write_manifest(path: Path, value: dict[str, Any]) -> None:
    """Writes a manifest that ends in the checksum of itself, as anybody can."""
    value.pop("sha256", None)
    if value["format_version"] != 1:
        value["sha256"] = hashlib.sha256(_to_bytes(value)).hexdigest()
    path.write_bytes(_to_bytes(value))


def examples_of(path: Path, fmt: RecordFormat) -> list[Example]:
    """The examples of a shard file."""

    def refuse(bad: object) -> None:
        raise AssertionError(bad)

    return [
        Example(image_id, image.copy(), int(label))
        for batch in records.decode(io.BytesIO(path.read_bytes()), fmt, where=path.name, on_bad_record=refuse)
        for image_id, image, label in zip(batch.ids, batch.images, batch.labels, strict=True)
    ]


def encoded(examples: list[Example], fmt: RecordFormat) -> bytes:
    """The bytes of a shard."""
    return b"".join(
        records.encode(ImageBatch([e.id], e.image[None], np.array([e.label], np.int64)), fmt)
        for e in examples
    )


def _to_bytes(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
