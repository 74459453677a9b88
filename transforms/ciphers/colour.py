"""The six orders of three channels, from which PBE and EtC draw."""

from __future__ import annotations

import numpy as np

from lpe.transforms.errors import CipherError
from lpe.transforms.image_shape import ImageShape

ORDERS = np.array([(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
"""int64 [6, 3]: with entry o, output channel j takes input channel ORDERS[o][j]."""


def check_three_channels(name: str, image_shape: ImageShape) -> None:
    """Checks that images have 3 channels.

    Args:
      name: the scheme, for the error's text.
      image_shape: (H, W, C).

    Raises:
      CipherError: C is not 3.
    """
    if image_shape[2] != 3:
        raise CipherError(
            f"{name} shuffles colours and needs 3 channels, not {image_shape[2]}; read the images as RGB"
        )
