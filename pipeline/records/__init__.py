"""Examples as bytes: batches of images to and from TFRecord files."""

from lpe.pipeline.records.batches import RecordFormat, decode, encode

__all__ = ["RecordFormat", "decode", "encode"]
