"""keys export: the data key of a sealed dataset, written to a file for whoever trains on it."""

from __future__ import annotations

import dataclasses
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.keystore import Registry
from lpe.pipeline.seal.data_key import check_output
from lpe.transforms.errors import DataError


@dataclasses.dataclass(frozen=True)
class ExportedDataKey:
    """A data key that was written to a file.

    Attributes:
      name: the keyset that it is derived from.
      dataset: the version directory of the dataset that it opens.
      output: the file.
    """

    name: str
    dataset: str
    output: str

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is the command's."""
        return dataclasses.asdict(self)


def export_data_key(dataset: str, keystore: str, name: str, output: str) -> ExportedDataKey:
    """Writes the data key of a sealed dataset, and logs that it was.

    It opens the seal of that dataset, and nothing else: the images stay encrypted.

    Args:
      dataset: the sealed dataset's home or version directory.
      keystore: the key store's URI.
      name: the keyset that the dataset is encrypted under.
      output: the file, readable for its owner alone.

    Raises:
      DataError: there is no dataset, or one that is not sealed under a key of this keyset.
      KeyStoreError: the key is missing or another one, or the file cannot be made private.
    """
    data = open_dataset(dataset)
    encryption = None if data.encryption is None else Encryption.from_json(data.encryption, data.directory)
    if encryption is None or encryption.seal is None or encryption.key_name != name:
        raise DataError(f"{data.directory}: not sealed under a key of {name!r}; name a dataset that is")
    key = open_dataset_key(data, encryption, keystore).data_key(encryption.spec.salt)
    check_output(output)
    # First the log: there must be no copy of which it says nothing.
    Registry(keystore).log(
        name, "data key exported", dataset=storage.absolute(data.directory), key=encryption.key_id
    )
    key.export(output, f"{data.name} {data.version}")
    return ExportedDataKey(name, data.directory, output)
