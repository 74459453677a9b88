"""The images of a dataset for training loops in any framework; needs neither TensorFlow, Beam nor Tink."""

from lpe.train.loading.shards import Shards

__all__ = ["Shards"]
