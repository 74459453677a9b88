"""A dataset's images on JAX's devices; needs the extra `jax`."""

from lpe.train.loading.jax_batches import DeviceBatches

__all__ = ["DeviceBatches"]
