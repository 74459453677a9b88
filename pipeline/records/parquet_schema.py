"""The Arrow schema of examples in Parquet files, with the metadata from which Hugging Face's `datasets` reads them."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa

from lpe.pipeline.records.batches import RecordFormat

HUGGINGFACE = b"huggingface"
"""The key of the metadata that `datasets` writes: its features, as JSON."""
IMAGE_SHAPE = b"lpe.image_shape"
"""The key of the shape of images that are raw bytes: JSON [H, W, C]."""


def schema_of(fmt: RecordFormat, class_names: tuple[str, ...] = ()) -> pa.Schema:
    """The columns of examples in a format.

    Raw images are binary values of one size, encoded ones Hugging Face's `Image`; labels are its `ClassLabel`. Every
    column may have nulls, though none has: `datasets` takes a column for what the metadata say only if it may.

    Args:
      fmt: the format.
      class_names: class i is called class_names[i].
    """
    raw = fmt.encoding == "raw"
    if raw:
        size = math.prod(fmt.image_shape or ())
        image, feature = pa.binary(size), _value(f"fixed_size_binary[{size}]")
    else:
        parts = [pa.field("bytes", pa.binary()), pa.field("path", pa.string())]
        image, feature = pa.struct(parts), {"_type": "Image"}
    columns = [pa.field(fmt.image_key, image)]
    columns.append(pa.field(fmt.label_key, pa.int64()))
    features: dict[str, Any] = {
        fmt.image_key: feature,
        fmt.label_key: {"names": list(class_names), "_type": "ClassLabel"},
    }
    if fmt.id_key is not None:
        columns.append(pa.field(fmt.id_key, pa.string()))
        features[fmt.id_key] = _value("string")
    metadata = {HUGGINGFACE: json.dumps({"info": {"features": features}}).encode()}
    if raw:
        metadata[IMAGE_SHAPE] = json.dumps(fmt.image_shape).encode()
    return pa.schema(columns, metadata)


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}
