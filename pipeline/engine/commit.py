"""The last step of a job that writes a dataset."""

from __future__ import annotations

import dataclasses

from lpe.pipeline import storage
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.dataset.writer import NewVersion
from lpe.pipeline.encryption.authentication import Signer
from lpe.pipeline.encryption.names import NameKeeper
from lpe.pipeline.engine.failures import JobFailedError, fail_if_any
from lpe.transforms.errors import LpeError


@dataclasses.dataclass(frozen=True)
class Commit:
    """Publishes what was written, or says why not.

    Attributes:
      version: what was written.
      manifest: goes into manifest.json or encryption.json.
      splits: their order.
      signer: makes the MACs of an encrypted version; None for plain data.
      names: keeps the original names of the images, before anything is published; None where there is nothing to do.
    """

    version: NewVersion
    manifest: dict[str, object]
    splits: tuple[str, ...]
    signer: Signer | None = None
    names: NameKeeper | None = None

    def __call__(self, receipts: list[ShardReceipt]) -> None:
        """Publishes, unless nothing was added to the version before. Raises JobFailedError, which passes any runner."""
        fail_if_any(receipts)
        try:
            if self.version.predecessor is not None and not any(r.images for r in receipts if not r.carried):
                storage.delete(self.version.work)  # what was new cannot be read
                return
            if self.names is not None and not self.version.is_committed():
                self.names.keep(self.version, receipts)
            sign = self.signer.open() if self.signer is not None else None
            self.version.commit(receipts, self.manifest, list(self.splits), sign)
        except LpeError as error:
            raise JobFailedError([str(error)], 0) from error
        except OSError as error:
            raise JobFailedError([str(storage.explain(error))], 0) from error
