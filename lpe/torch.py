"""A dataset's images as PyTorch's datasets; needs the extra `torch`."""

from lpe.train.loading.torch_datasets import ShardsDataset, ShardsIterable

__all__ = ["ShardsDataset", "ShardsIterable"]
