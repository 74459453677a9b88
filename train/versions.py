"""The version of a dataset that training takes: never a plain one where an encrypted one may have been meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset, committed_versions, open_dataset
from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, INFO_FILE
from lpe.transforms.errors import UsageError

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class DataUsed:
    """The dataset that a network was trained or measured on.

    Attributes:
      name: the dataset's.
      version: the dataset's.
      encryption: its encryption.json; None for plain images.
    """

    name: str
    version: str
    encryption: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """Its part of what `lpe train --json` and `lpe evaluate --json` print; no key for plain images."""
        value: dict[str, Any] = {"data": {"name": self.name, "version": self.version}, "cipher": self.cipher}
        if self.encryption is not None:
            key = self.encryption["key"]
            value["key"] = {"name": key["name"], "id": key["id"]}
        return value

    @property
    def cipher(self) -> str:
        """The cipher's name; `plain` for plain images."""
        return "plain" if self.encryption is None else str(self.encryption["cipher"])

    def properties(self) -> dict[str, str]:
        """Rows of a summary table: data, cipher and key."""
        rows = {"data": f"{self.name} {self.version}", "cipher": self.cipher, "key": "none"}
        if self.encryption is not None:
            rows["key"] = "{name} {id}".format(**self.encryption["key"])
        return rows


def open_version(path: str) -> Dataset:
    """Opens a dataset's version, or a home's newest one, if all versions there are encrypted or all are plain.

    Raises:
      DataError: there is no dataset, or its metadata is damaged.
      UsageError: the home holds plain and encrypted versions, and none of them was named.
    """
    if not storage.exists(storage.join(path, INFO_FILE)):
        versions = committed_versions(path)
        kinds = {
            version: "encrypted" if storage.exists(storage.join(path, version, ENCRYPTION_FILE)) else "plain"
            for version in versions
        }
        if len(set(kinds.values())) > 1:
            listed = [f"{version} is {kinds[version]}" for version in reversed(versions)]
            more = f" and {len(listed) - _SHOWN} older" if len(listed) > _SHOWN else ""
            raise UsageError(
                f"{path}: plain and encrypted versions side by side ({', '.join(listed[:_SHOWN])}{more}); name the one "
                f"that you mean, e.g. {storage.join(path, versions[-1])}"
            )
    return open_dataset(path)
