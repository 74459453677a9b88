"""Enlarging of reduced images within a network: a thumbnail of 4×4 leaves a trunk made for 32×32 nothing to pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lpe.pipeline.storage.documents import Fields
from lpe.train import backend

if TYPE_CHECKING:
    import keras

_SIDE = 32
"""Pixels of the longer side up to which images are enlarged, if they were as large."""
_MOST_SIDE = 1 << 16


def enlarged_size(height: int, width: int, encryption: Mapping[str, Any] | None) -> tuple[int, int]:
    """The height and width at which a trunk is given images.

    Args:
      height: of the images.
      width: likewise.
      encryption: the dataset's encryption.json; None for plain images.

    Returns:
      Those of the images before they were reduced, at most 32 pixels on the longer side; or `height` and `width`, where
      images are as large as that, were not made smaller, or differed in shape before.

    Raises:
      DataError: encryption.json does not say what the images were like before.
    """
    if encryption is None or encryption.get("reduction") is None:
        return height, width
    reduction = Fields(encryption, "encryption.json", "have the owner encrypt the images again").object(
        "reduction"
    )
    if reduction.is_null("image_shape"):
        return height, width
    before = reduction.integers("image_shape", 1, _MOST_SIDE)
    if len(before) != 3:
        reduction.refuse("'image_shape' must be height, width, channels")
    longer = max(before[:2])
    side = min(_SIDE, longer)
    if max(height, width) >= side:
        return height, width
    rows, columns = (max(1, round(pixels * side / longer)) for pixels in before[:2])
    return rows, columns


def enlarge(features: keras.KerasTensor, encryption: Mapping[str, Any] | None) -> keras.KerasTensor:
    """The front end's output, float [N, H, W, F], bilinearly enlarged where `enlarged_size` says so."""
    height, width = features.shape[1:3]
    size = enlarged_size(height, width, encryption)
    if size == (height, width):
        return features
    return backend.load().layers.Resizing(*size, interpolation="bilinear")(features)
