"""The loop a user writes today: TensorFlow reads and writes records, NumPy encrypts each image.

    python -m tests.benchmarks.tensorflow_loop SOURCE TARGET [protobuf]

lpe-100 on every shard of 32×32×3 images that `lpe ingest` wrote; prints the seconds after imports.
With `protobuf`, tf.data is left out: TensorFlow 1's iterator reads and Example.FromString parses,
which is the fastest such loop, and the hardest to beat.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from lpe.transforms import ciphers

FEATURES = {
    "id": tf.io.FixedLenFeature([], tf.string),
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def main(source, target, parser="tensorflow"):
    Path(target).mkdir(parents=True)
    cipher = ciphers.create("lpe-100", secret=bytes(range(32)), image_shape=(32, 32, 3))
    for path in sorted(Path(source).glob("*.tfrecord*")):
        if parser == "tensorflow":
            dataset = tf.data.TFRecordDataset(str(path))
            parsed = dataset.map(lambda record: tf.io.parse_single_example(record, FEATURES))
            records = parsed.as_numpy_iterator()
        else:
            records = tf.compat.v1.io.tf_record_iterator(str(path))
        with tf.io.TFRecordWriter(str(Path(target) / path.name)) as writer:
            for record in records:
                if parser == "tensorflow":
                    example = tf.train.Example()
                    feature = example.features.feature
                    feature["id"].bytes_list.value.append(record["id"])
                    feature["label"].int64_list.value.append(record["label"])
                    image = record["image"]
                else:
                    example = tf.train.Example.FromString(record)
                    feature = example.features.feature
                    image = feature["image"].bytes_list.value[0]
                pixels = np.frombuffer(image, np.uint8).reshape(1, 32, 32, 3)
                feature["image"].bytes_list.value[:] = [cipher.encrypt(pixels)[0].tobytes()]
                writer.write(example.SerializeToString())


if __name__ == "__main__":
    start = time.perf_counter()
    main(*sys.argv[1:])
    print(json.dumps({"seconds": time.perf_counter() - start}))
