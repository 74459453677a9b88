"""Patches, which are what `vit` and `convmixer` see of an image: of the size of the blocks that it was encrypted by.

A linear layer embeds each patch, whatever the order and signs of its values: where all blocks of a dataset are
scrambled alike, the network learns as if they were not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from lpe.transforms.errors import UsageError

_SIDE, _LARGE_SIDE = 4, 16
_LARGEST_SMALL_IMAGE = 64
_MOST_SIDE = 64


def side(image_shape: tuple[int, ...], encryption: Mapping[str, Any] | None) -> int:
    """The side of a patch: that of the cipher's blocks, else 4, and of images larger than 64×64, 16.

    Args:
      image_shape: (H, W, F) of the front end's output.
      encryption: the encryption.json of the dataset; None for plain images.

    Raises:
      UsageError: the cipher's blocks are said to be of a size that there is not.
    """
    block = None if encryption is None else encryption.get("params", {}).get("block")
    if block is None:
        return _SIDE if max(image_shape[:2]) <= _LARGEST_SMALL_IMAGE else _LARGE_SIDE
    if block not in {str(size) for size in range(1, _MOST_SIDE + 1)}:
        raise UsageError(f"encryption.json: blocks of {block!r} pixels; a patch has 1 to {_MOST_SIDE}")
    return int(block)


def embed(features: keras.KerasTensor, patch: int, width: int, model: str) -> keras.KerasTensor:
    """Float [N, H, W, F] -> patches, float [N, H/patch, W/patch, width].

    Args:
      features: the front end's output.
      patch: the side of a patch.
      width: how many values each becomes.
      model: the network's name.

    Raises:
      UsageError: images whose sides are no multiples of the patch's, or that are one patch.
    """
    height, width_of_image, channels = features.shape[1:]
    if height % patch or width_of_image % patch or max(height, width_of_image) == patch:
        raise UsageError(
            f"model {model} needs images whose sides are multiples of its patches' {patch}, and more than one patch, "
            f"not {features.shape[1:]}; ingest them with another --image-size"
        )
    rows, columns = height // patch, width_of_image // patch
    x = layers.Reshape((rows, patch, columns, patch * channels))(features)
    x = layers.Permute((1, 3, 2, 4))(x)
    x = layers.Reshape((rows, columns, patch * patch * channels))(x)
    return layers.Dense(width)(x)
