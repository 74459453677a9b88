"""Pixels of plain images, for tests that look for them where they must not be."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from apache_beam import coders

_BYTES = 24
_LEAST_VALUES = 6
_ANY, _INT = coders.FastPrimitivesCoder(), coders.VarIntCoder()  # as Beam writes elements
_INTS = coders.IterableCoder(_INT)


def rows(images: Iterable[np.ndarray], each: int = 3) -> list[bytes]:
    """Pixels that stand side by side, 24 bytes of them, from the middle of rows of every image; none of one colour.

    Args:
      images: uint8, [H, W, C].
      each: how many rows of an image, spread over its height.
    """
    found = []
    for image in images:
        channels = image.shape[2]
        start = (image.shape[1] - _BYTES // channels) // 2 * channels
        lines = image.reshape(len(image), -1)[:, start : start + _BYTES]
        telling = [line for line in lines if len(np.unique(line)) >= _LEAST_VALUES]
        found += [line.tobytes() for line in telling[:: max(1, len(telling) // each)][:each]]
    return found


def forms(pixels: bytes) -> list[bytes]:
    """What pixels of three channels may look like: raw, in hex, as text, as pickle's or Beam's numbers."""
    numbers = [str(value) for value in pixels]
    triples = [list(pixels[at : at + 3]) for at in range(0, len(pixels), 3)]  # [r, g, b] each
    return [
        pixels,
        pixels.hex().encode(),
        *(separator.join(numbers).encode() for separator in (", ", ",", " ")),
        b"".join(b"K" + bytes([value]) for value in pixels),  # pickle's small integers
        *(b"".join(coder.encode(value) for value in pixels) for coder in (_ANY, _INT)),
        *(b"".join(coder.encode(triple) for triple in triples) for coder in (_ANY, _INTS)),
        str(triples)[1:-1].encode(),
    ]
