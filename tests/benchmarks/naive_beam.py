"""The pipeline that one writes first, whose elements are records: does what tensorflow_loop.py does.

python -m tests.benchmarks.naive_beam SOURCE TARGET
"""

import json
import sys
import time
from pathlib import Path

import apache_beam as beam
import numpy as np
from apache_beam.io.tfrecordio import ReadFromTFRecord, WriteToTFRecord
from apache_beam.options.pipeline_options import PipelineOptions

from lpe.pipeline import records
from lpe.pipeline.records import example_proto, tfrecord
from lpe.transforms import ciphers
from lpe.transforms.batch import ImageBatch

SHAPE = (32, 32, 3)


class EncryptOne(beam.DoFn):
    def setup(self):
        self.cipher = ciphers.create("lpe-100", secret=bytes(range(32)), image_shape=SHAPE)

    def process(self, data):
        fields = example_proto.parse(data)
        image = self.cipher.encrypt(np.frombuffer(fields["image"][0], np.uint8).reshape(1, *SHAPE))
        batch = ImageBatch([fields["id"][0].decode()], image, np.array(fields["label"]))
        yield records.encode(batch, records.RecordFormat(SHAPE))[tfrecord.HEADER : -tfrecord.FOOTER]


def main(source, target):
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        for split in sorted({path.name.split(".tfrecord")[0] for path in Path(source).glob("*.tfrecord*")}):
            _ = (
                pipeline
                | f"Read {split}" >> ReadFromTFRecord(f"{source}/{split}.tfrecord*")
                | f"Encrypt {split}" >> beam.ParDo(EncryptOne())
                | f"Write {split}" >> WriteToTFRecord(f"{target}/{split}.tfrecord", num_shards=8)
            )


if __name__ == "__main__":
    start = time.perf_counter()
    main(*sys.argv[1:])
    print(json.dumps({"seconds": time.perf_counter() - start}))
