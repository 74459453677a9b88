"""A dataset on disk: a TFDS directory, and beside it what `lpe` knows of its making."""

from lpe.pipeline.dataset.dataset import Dataset, committed_versions, open_dataset
from lpe.pipeline.dataset.metadata import ShardInfo, SplitInfo

__all__ = ["Dataset", "ShardInfo", "SplitInfo", "committed_versions", "open_dataset"]
