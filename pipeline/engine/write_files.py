"""One shard's images written as PNG files; independent of Beam."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lpe.pipeline import storage
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.encryption.batch_transforms import BatchFunction, BatchTransform
from lpe.pipeline.encryption.names import NameMap
from lpe.pipeline.engine.file_paths import class_directories, file_paths, id_as_name
from lpe.pipeline.engine.stopwatch import Stopwatch
from lpe.pipeline.records.bad_records import fail
from lpe.pipeline.records.encoded_images import to_png
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.batch import ImageBatch

_REMEDY = "restore the dataset from a copy"


@dataclasses.dataclass
class WriteFiles:
    """Writes each image of a shard to `DIRECTORY/SPLIT/CLASS/NAME.png`, unless an earlier run has.

    Attributes:
      restore: makes plain images of what is read.
      directory: where the files go.
      class_names: class i is called class_names[i].
      names: the original names; where there are none, ids are the names.
    """

    restore: BatchTransform
    directory: str
    class_names: tuple[str, ...]
    names: NameMap

    def setup(self) -> None:
        """Opens the batch transform, which fetches its key, and reads the names."""
        self._restore: BatchFunction = self.restore.open()
        table = self.names.read()
        self._folders = class_directories(self.class_names)
        self._paths: Mapping[str, str] = {}
        if table is not None:
            ids, splits, names = (table[column].to_pylist() for column in ("id", "split", "name"))
            self._paths = file_paths(ids, splits, names, self.class_names)

    def run(self, task: ShardTask) -> ShardReceipt:
        """Writes the files. Raises DataError if the shard is not whole."""
        watch = Stopwatch()
        written = 0
        for batch in watch.measuring_each("read", task.reader.batches(fail(_REMEDY))):
            with watch.measuring("transform"):
                plain = self._restore(batch)
            with watch.measuring("write"):
                self._write(plain, task.split)
            written += len(plain)
        return ShardReceipt(task.split, task.index, None, images=written, seconds=watch.seconds)

    def _write(self, batch: ImageBatch, split: str) -> None:
        for image_id, image, label in zip(batch.ids, batch.images, batch.labels.tolist(), strict=True):
            inner = self._paths.get(image_id) or f"{id_as_name(image_id)}.png"
            path = storage.join(self.directory, split, self._folders[label], inner)
            if not storage.exists(path):
                storage.write_atomic(path, to_png(image))
