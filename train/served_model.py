"""What prediction needs to know of an exported model, as JSON that its file carries: no secret, no weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from lpe.pipeline.storage.documents import parse_document
from lpe.train.runs import Run, read_class_names, read_encryption, read_image_shape, read_reading
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape

FORMAT_VERSION = 1
_MOST_BYTES = 64 << 20
_KEY = ("name", "id", "check_value")
_BINDING = (
    "format_version",
    "cipher",
    "params",
    "scope",
    "salt",
    "sealed_class_names",
    "unsealed",
    "reduction",
)


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """An exported model, but for its network.

    Attributes:
      class_names: output i of the network is class_names[i].
      image_shape: (H, W, C) of its images.
      encryption: how they are encrypted, the part of encryption.json that a prediction needs; None for plain images.
      reading: see `Run`.
    """

    class_names: tuple[str, ...]
    image_shape: ImageShape
    encryption: Mapping[str, Any] | None
    reading: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, run: Run) -> ServedModel:
        """What is to be known of a run's model."""
        encryption = None
        if run.encryption is not None:
            encryption = {name: run.encryption[name] for name in _BINDING if name in run.encryption}
            encryption["key"] = {name: run.encryption["key"][name] for name in _KEY}
        return cls(run.class_names, run.image_shape, encryption, run.reading)

    @classmethod
    def parse(cls, text: str, where: str) -> ServedModel:
        """The inverse of `to_text`.

        Args:
          text: what others may have written.
          where: the file that holds it, for messages.

        Raises:
          DataError: it is damaged, or of another format.
        """
        remedy = "export the model again"
        if len(text) > _MOST_BYTES:
            raise DataError(f"{where}: damaged (its description is too large); {remedy}")
        record = parse_document(text.encode("utf-8", "surrogatepass"), where, remedy)
        version = record.integer("format_version")
        if version != FORMAT_VERSION:
            raise DataError(
                f"{where}: model format {version}, this `lpe` reads {FORMAT_VERSION}; use the version of `lpe` that "
                "exported it"
            )
        return cls(
            read_class_names(record), read_image_shape(record), read_encryption(record), read_reading(record)
        )

    def to_text(self) -> str:
        """The JSON text."""
        return json.dumps({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)})
