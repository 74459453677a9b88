"""Batches of shards on JAX's devices. Importing this module imports JAX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lpe.train.loading.shards import Shards
from lpe.transforms.extras import require

jax = require("jax", "jax")


class DeviceBatches:
    """The batches of shards as JAX's arrays, the next one on its way to the device while one is used.

        for images, labels in lpe.jax.DeviceBatches(shards):
            ...

    Args:
      shards: each loop over this object is one over them.
      device: a device, or a sharding of the batch's axis; None for JAX's default.
    """

    def __init__(self, shards: Shards, device: Any = None) -> None:
        self._shards = shards
        self._device = device
        self._state = shards.state_dict()

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return self._shards.steps

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """The batches of the next epoch: images uint8 [B, H, W, C] and labels int [B], then ids if there are any."""
        batches = iter(self._shards)
        coming = self._coming(batches)
        while coming is not None:
            batch, state = coming
            coming = self._coming(batches)
            self._state = state
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """The state of the shards after the batch that was given last; for `Shards.load_state_dict`."""
        return self._state

    def _coming(self, batches: Iterator[tuple[Any, ...]]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """The next batch, on its way, and the state after it."""
        for images, labels, *ids in batches:
            return (*jax.device_put((images, labels), self._device), *ids), self._shards.state_dict()
        return None
