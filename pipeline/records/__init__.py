"""Examples as bytes: batches of images to and from TFRecord files."""

from lpe.pipeline.records.batches import RecordFormat, decode, encode, encoded_runs

__all__ = ["RecordFormat", "decode", "encode", "encoded_runs"]
