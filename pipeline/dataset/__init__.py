"""Datasets on disk: TFDS directories, and beside them what `lpe` knows of their making."""

from lpe.pipeline.dataset.dataset import Dataset, committed_versions, open_dataset, version_directory
from lpe.pipeline.dataset.manifest import ShardInfo
from lpe.pipeline.dataset.metadata import SplitInfo

__all__ = ["Dataset", "ShardInfo", "SplitInfo", "committed_versions", "open_dataset", "version_directory"]
