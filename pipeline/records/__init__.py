"""Examples as bytes: batches of images to and from TFRecord and Parquet files."""

from lpe.pipeline.records.batches import FileFormat, RecordFormat, decode, encode, encoded_runs

__all__ = ["FileFormat", "RecordFormat", "decode", "encode", "encoded_runs"]
