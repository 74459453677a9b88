"""The description of a dataset's seal, kept beside the dataset; no secret. Imports no Tink."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from lpe.pipeline.dataset.manifest import read_image_shape
from lpe.pipeline.storage.documents import Fields
from lpe.transforms.image_shape import ImageShape

OVERHEAD = 28
"""The bytes that a seal adds to an image: nonce and tag."""
_CHECK_VALUE = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclasses.dataclass(frozen=True)
class SealSpec:
    """The description of a dataset's seal.

    Attributes:
      image_shape: (H, W, C) of the images inside.
      check_value: tells its data key from others (hex).
    """

    image_shape: ImageShape
    check_value: str

    def to_json(self) -> dict[str, Any]:
        """The field `seal` of encryption.json."""
        return {"image_shape": list(self.image_shape), "check_value": self.check_value}

    @classmethod
    def from_json(cls, fields: Fields) -> SealSpec:
        """The inverse of `to_json`. Raises DataError if something is missing or damaged."""
        return cls(read_image_shape(fields), fields.text("check_value", _CHECK_VALUE))


def sealed_shape(image_shape: ImageShape) -> ImageShape:
    """The shape (1, 1, bytes) in which sealed images of this shape travel and are stored."""
    height, width, channels = image_shape
    return (1, 1, height * width * channels + OVERHEAD)
