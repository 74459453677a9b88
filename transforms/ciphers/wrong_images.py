"""The message about images that a cipher does not take: what it takes, what it was given, and how to get there."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpe.transforms.image_shape import ImageShape


def explain_images(given: Any, name: str, image_shape: ImageShape) -> str:
    """The text of the error for an argument that is no array of uint8 [N, *image_shape].

    Args:
      given: an array, a list, another library's tensor, or anything else.
      name: the cipher's.
      image_shape: what it is for.
    """
    wanted = ", ".join(map(str, image_shape))
    return (
        f"this {name} cipher takes a NumPy array, uint8 [N, {wanted}], got {_description(given)}; "
        f"give {_remedy(given, image_shape)}"
    )


def _description(given: Any) -> str:
    own = isinstance(given, np.ndarray)
    kind = "" if own else f"a {type(given).__module__}.{type(given).__name__}".replace("builtins.", "")
    if isinstance(given, list | tuple):
        return f"{kind} of {len(given)}"
    if not _is_array(given):
        return kind
    array = f"{_dtype(given)} [{', '.join(map(str, given.shape))}]"
    return array if own else f"{kind}, {array}"


def _remedy(given: Any, image_shape: ImageShape) -> str:
    """All steps to images of the right type and shape."""
    if isinstance(given, list | tuple):
        return "np.stack(images)"
    if not _is_array(given):
        return "np.stack of a list of images, or image[None] for a single one"
    steps = [] if isinstance(given, np.ndarray) else ["np.asarray(images), after images.cpu() if on a GPU"]
    shape = tuple(given.shape)
    height, width, channels = image_shape
    if shape[-3:] == (channels, height, width) != image_shape:
        steps.append("np.moveaxis(images, -3, -1) for channels first")
        shape = (*shape[:-3], *image_shape)
    if channels == 1 and shape[-2:] == (height, width):
        steps.append("images[..., None] for the one channel")
        shape = (*shape, 1)
    if shape == image_shape:
        steps.append("images[None] for a single image")
    elif shape[1:] != image_shape:
        steps.append("images of that size, or a cipher with theirs as image_shape=(H, W, C)")
    dtype = _dtype(given)
    if "float" in dtype:
        steps.append("(images * 255).round().astype(np.uint8) for values in 0..1")
    elif dtype != "uint8":
        steps.append("images.astype(np.uint8) for values in 0..255")
    return ", then ".join(steps)


def _is_array(given: Any) -> bool:
    return hasattr(given, "shape") and hasattr(given, "dtype")


def _dtype(given: Any) -> str:
    """The name of a NumPy, JAX, TensorFlow or PyTorch type, e.g. `float32`."""
    return str(getattr(given.dtype, "name", given.dtype)).removeprefix("torch.")
