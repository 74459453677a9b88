"""The options that new images are read with, as those of a dataset were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.storage.documents import Fields
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.image_shape import ImageShape

_REMEDY = "restore it from a copy"


def recorded_options(reading: Mapping[str, Any] | None, shape: ImageShape, where: str) -> ReadOptions:
    """The options that make image files into images of `shape` as a dataset's were made.

    Args:
      reading: what the dataset, or a model trained on it, recorded of it (`ReadOptions.pixel_settings`); None for
        nothing.
      shape: that of the dataset's images.
      where: what recorded it, for messages.

    Raises:
      DataError: it is damaged.
    """
    height, width, channels = shape
    if reading is None:
        return ReadOptions((height, width), grey=channels == 1)
    fields = Fields(reading, f"{where}: reading", _REMEDY)
    window = fields.optional_object("window")
    try:
        return ReadOptions(
            (height, width),
            grey=channels == 1,
            fit=fields.text("fit"),  # type: ignore[arg-type]  # checked there
            resample=fields.text("resample"),  # type: ignore[arg-type]  # likewise
            background=fields.optional_text("background"),
            depth=None if fields.is_null("depth") else fields.integer("depth"),
            window=None if window is None else (window.number("low"), window.number("high")),
            frame=None if fields.is_null("frame") else fields.integer("frame"),
        )
    except UsageError as error:
        raise DataError(f"{where}: damaged ({error}); {_REMEDY}") from error
