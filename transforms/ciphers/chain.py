"""Chaining by prefix-XOR (paper, equations 2 and 4): c_i = e_i ⊕ c_(i−1) for linked positions, else c_i = e_i.

Arrays are uint8 [M, H·W·C], pixel after pixel; position i − 1 of a channel lies C bytes before i.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lpe.transforms.ciphers import layout

_GROUP = 8  # positions: with any number of channels they are whole 64-bit words
_SEGMENT = 128  # groups
_TILE = 32


class Chain(Protocol):
    """A way of linking positions, for images of one shape.

    A chain has no state of its own, and threads may share it. `e`, `c` and `out` are uint8 [M, H·W·C], and do not
    overlap; `keys` says which rows of per-key tables belong to the M images.
    """

    def forward(self, e: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """Writes c of `e` to `out`; `e` may be overwritten."""

    def backward(self, c: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """Writes e of `c` to `out`, the inverse of `forward`; `c` stays as it is."""


class RasterChain:
    """Every position is linked to the one before; only the first of a channel starts anew.

    Forward is a prefix-XOR. Three doubling steps give the XOR of the last eight positions; then
    groups of eight positions accumulate, a 64-bit word at a time. Steps read one buffer and write
    the other, with no pass that only copies.

    Args:
      channels: C.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels

    def forward(self, e: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """c_i = e_i ⊕ c_(i−1); the same for all keys."""
        count, size = e.shape
        c = self._channels
        width = _GROUP * c
        width *= _SEGMENT if size > width * _SEGMENT else 1
        padded = -(-size // width) * width
        # What lies beyond the image in a padded row reaches no byte of the image.
        buffers = np.empty((2, count, padded), np.uint8)
        source = e
        for step in range(3):
            target = buffers[step % 2, :, :size]
            _xor_before(source, target, c << step)
            source = target
        words = buffers[0].view(np.uint64).reshape(count, -1, c)
        if padded == size and out.flags.c_contiguous and out.ctypes.data % 8 == 0:
            _accumulate(words, out.view(np.uint64).reshape(words.shape))
        else:
            _accumulate(words, buffers[1].view(np.uint64).reshape(words.shape))
            out[...] = buffers[1, :, :size]

    def backward(self, c: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """e_i = c_i ⊕ c_(i−1); the same for all keys."""
        _xor_before(c, out, self._channels)


class LinkedChain:
    """Some positions are linked to the one before, others start anew, under each key in its own way.

    Args:
      linked: bool [K, P, n], P = C or 1 (the same for all channels), whether a position is linked to
        the one before; never for the first.
      channels: C.
    """

    def __init__(self, linked: np.ndarray, channels: int) -> None:
        self._channels = channels
        # Entry j says which positions have at least 2^j linked positions in a row up to and
        # including themselves: 255 there, 0 elsewhere. Entry 0 is the link to the position before.
        runs = _runs(linked)
        spans = [1 << j for j in range(int(runs.max()).bit_length())]
        self._reach = [
            layout.interleave(np.where(runs >= span, 255, 0).astype(np.uint8), channels) for span in spans
        ]

    def forward(self, e: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """c_i = e_i ⊕ c_(i−1) where linked, else e_i."""
        # By doubling: after step j a value covers up to 2^(j+1) positions. The last step writes to `out`.
        before = np.empty_like(e)
        last = len(self._reach) - 1
        for j, reach in enumerate(self._reach):
            shift = self._channels << j
            _masked_before(e, before, reach, shift, keys)
            target = out if j == last else e
            np.bitwise_xor(e[:, shift:], before[:, shift:], out=target[:, shift:])
            if j == last:
                out[:, :shift] = e[:, :shift]
        if not self._reach:
            out[...] = e

    def backward(self, c: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """e_i = c_i ⊕ c_(i−1) where linked, else c_i."""
        if not self._reach:
            out[...] = c
            return
        shift = self._channels
        _masked_before(c, out, self._reach[0], shift, keys)
        np.bitwise_xor(out[:, shift:], c[:, shift:], out=out[:, shift:])
        out[:, :shift] = c[:, :shift]


def _accumulate(words: np.ndarray, out: np.ndarray) -> None:
    """Prefix-XOR of uint64 [M, G, C] along its second axis, G at most or a multiple of `_SEGMENT`.

    NumPy walks each of the C columns on its own, so that long ones leave the first-level cache
    between two walks: segments are summed each for itself, and then what came before is added.
    """
    count, groups, c = words.shape
    if groups <= _SEGMENT:
        np.bitwise_xor.accumulate(words, axis=1, out=out)
        return
    shape = (count, groups // _SEGMENT, _SEGMENT, c)
    segments = out.reshape(shape)
    np.bitwise_xor.accumulate(words.reshape(shape), axis=2, out=segments)
    before = np.bitwise_xor.accumulate(segments[:, :-1, -1], axis=1)
    # Tiled, so that the inner loop is long.
    wide = segments[:, 1:].reshape(count, -1, _SEGMENT // _TILE, _TILE * c)
    wide ^= np.tile(before, (1, 1, _TILE))[:, :, None]


def _xor_before(source: np.ndarray, target: np.ndarray, shift: int) -> None:
    """target_i = source_i ⊕ source_(i − shift), all [M, L]."""
    np.bitwise_xor(source[:, shift:], source[:, :-shift], out=target[:, shift:])
    target[:, :shift] = source[:, :shift]


def _masked_before(
    source: np.ndarray, target: np.ndarray, reach: np.ndarray, shift: int, keys: slice
) -> None:
    """target_i = source_(i − shift) where `reach` says so, else 0, for i ≥ shift."""
    mask = reach[keys] if len(reach) > 1 else reach
    np.bitwise_and(source[:, :-shift], mask[:, shift:], out=target[:, shift:])


def _runs(linked: np.ndarray) -> np.ndarray:
    """For each position (bool [..., n]), how many linked ones in a row end there."""
    at = np.arange(linked.shape[-1])
    return at - np.maximum.accumulate(np.where(linked, 0, at), axis=-1)
