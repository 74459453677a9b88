"""Pixels of plain images, for tests that look for them where they must not be."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from apache_beam import coders

from tests.secret_bytes import unwrapped

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


def shown(pixels: Iterable[bytes], data: bytes) -> bool:
    """Whether any of these pixels are in `data`, in any wrapping: raw, in hex, as text, pickle's or Beam's numbers."""
    wanted = [form for line in pixels for form in _forms(line)]
    return any(form in layer for layer in unwrapped(data) for form in wanted)


def _forms(line: bytes) -> list[bytes]:
    numbers = [str(value) for value in line]
    triples = [list(line[at : at + 3]) for at in range(0, _BYTES, 3)]  # [r, g, b] each
    return [
        line,
        line.hex().encode(),
        *(separator.join(numbers).encode() for separator in (", ", ",", " ")),
        b"".join(b"K" + bytes([value]) for value in line),  # pickle's small integers
        *(b"".join(coder.encode(value) for value in line) for coder in (_ANY, _INT)),
        *(b"".join(coder.encode(triple) for triple in triples) for coder in (_ANY, _INTS)),
        str(triples)[1:-1].encode(),
    ]
