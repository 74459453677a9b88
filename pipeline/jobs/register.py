"""keys register: a trained model recorded as a user of its key, which rotation then keeps for predictions."""

from __future__ import annotations

import dataclasses
from typing import Any

from lpe.pipeline.encryption import metadata
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError


@dataclasses.dataclass(frozen=True)
class Registration:
    """A training run and the key that its model needs.

    Attributes:
      run: the run's directory.
      key_name: the keyset.
      key_id: the key.
    """

    run: str
    key_name: str
    key_id: int

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is the command's."""
        return {"run": self.run, "key": {"name": self.key_name, "id": self.key_id}}


def register_run(run: str, keystore: str) -> Registration:
    """Records in the key store that the model of a finished training run needs its key.

    Args:
      run: the run's directory.
      keystore: the key store's URI.

    Raises:
      DataError: no finished run is there, or one on plain images.
      KeyStoreError: the key is missing or another one.
    """
    encryption = load_run(run).encryption
    if encryption is None:
        raise DataError(f"{run}: this model was trained on plain images and needs no key")
    registered = metadata.register_run(keystore, run, encryption)
    return Registration(run, registered.key_name, registered.key_id)
