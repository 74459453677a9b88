"""The interface of front-end layers. Importing this module imports Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpe.train.keras_types import Layer


class FrontEndLayer(Layer):
    """A layer of a front end: images [N, H, W, F] to images or features of them.

    It is given no key and no plain image, and as a Keras layer it is a pure function of its input and its weights,
    but for what Keras itself updates in training.
    """

    @staticmethod
    def settings(encryption: Mapping[str, Any] | None, readings: int) -> dict[str, Any]:
        """The constructor's arguments for images of a dataset; a layer that needs none leaves this as it is.

        Args:
          encryption: the dataset's encryption.json, which holds nothing secret; None for plain images.
          readings: how many values of each pixel's channel the layer before it gives.
        """
        return {}
