"""A reference to a key: what travels in place of the key itself."""

from __future__ import annotations

import dataclasses

from lpe.pipeline.keystore.key import DatasetKey
from lpe.pipeline.keystore.store import KeyStore


@dataclasses.dataclass(frozen=True)
class KeyRef:
    """Names a key without holding it; pipelines carry this and open it in `setup()`.

    Attributes:
      keystore: the key store's URI.
      name: the keyset.
      id: the key; None for the keyset's primary one.
    """

    keystore: str
    name: str
    id: int | None = None

    def open(self) -> DatasetKey:
        """Fetches the key.

        Raises:
          KeyStoreError: the keyset cannot be opened, or the key is not there or not enabled.
        """
        return KeyStore(self.keystore).open(self.name, self.id)
