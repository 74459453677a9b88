"""Chaining by prefix-XOR (paper, equations 2 and 4): c_i = e_i ⊕ c_(i−1) for linked positions, else c_i = e_i.

Arrays are uint8 [M, H·W·C], pixel after pixel; position i − 1 of a channel lies C bytes before i.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lpe.transforms.ciphers import layout

_GROUP = 8  # positions: with any number of channels they are whole 64-bit words
_WIDE = 16  # groups, over which a sum runs faster than over one


class Chain(Protocol):
    """A way of linking positions, for images of one shape.

    A chain has no state of its own, and threads may share it. `e`, `c` and `out` do not overlap; `keys` says which
    rows of per-key tables belong to the M images.
    """

    def forward(self, e: np.ndarray, out: np.ndarray, keys: slice, start: int = 0) -> None:
        """Writes c of `e` to `out`, from byte `start` on; what comes before is there already.

        Args:
          e: uint8 [M, L], contiguous; may be overwritten.
          out: uint8 [M, H·W·C].
          keys: of the M images.
          start: a multiple of C.
        """

    def backward(self, c: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """Writes e of `c` to `out`, both uint8 [M, H·W·C], the inverse of `forward`; `c` stays as it is."""


class RasterChain:
    """Every position is linked to the one before; only the first of a channel starts anew.

    Forward is a prefix-XOR. Three doubling steps give the XOR of the last eight positions; then
    groups of eight positions accumulate, a 64-bit word at a time.

    Args:
      channels: C.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels

    def forward(self, e: np.ndarray, out: np.ndarray, keys: slice, start: int = 0) -> None:
        """c_i = e_i ⊕ c_(i−1); the same for all keys."""
        count, size = e.shape
        c = self._channels
        if start:
            e[:, :c] ^= out[:, start - c : start]
        width = _WIDE * _GROUP * c
        padded = -(-size // width) * width
        if padded != size:
            e = np.pad(e, ((0, 0), (0, padded - size)))
        if count > 1:
            # All images are one sequence, for NumPy takes long to begin one: what an image ends with is cancelled
            # where the next one starts.
            e[1:, :c] ^= _sums(e, c)[:-1]
        sequence = e.reshape(1, -1)
        other = np.empty_like(sequence)
        for step, (source, target) in enumerate([(sequence, other), (other, sequence), (sequence, other)]):
            _xor_before(source, target, c << step)
        target = out[:, start : start + size]
        direct = padded == size and target.flags.c_contiguous and target.ctypes.data % 8 == 0
        sums = (target if direct else sequence).reshape(-1).view(np.uint64).reshape(-1, c)
        np.bitwise_xor.accumulate(other.view(np.uint64).reshape(-1, c), axis=0, out=sums)
        if not direct:
            target[...] = e[:, :size]

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
        self._reach: list[np.ndarray] = []
        reach = layout.interleave(linked * np.uint8(255), channels)
        shift = channels
        while reach.any():
            self._reach.append(reach)
            longer = np.zeros_like(reach)
            np.bitwise_and(reach[:, shift:], reach[:, :-shift], out=longer[:, shift:])
            reach, shift = longer, 2 * shift

    def forward(self, e: np.ndarray, out: np.ndarray, keys: slice, start: int = 0) -> None:
        """c_i = e_i ⊕ c_(i−1) where linked, else e_i."""
        size, c = e.shape[1], self._channels
        masks = [reach[:, start : start + size] for reach in self._of_keys(keys)]
        if start and masks:
            e[:, :c] ^= out[:, start - c : start] & masks[0][:, :c]
        # By doubling: after step j a value covers up to 2^(j+1) positions. The last step writes to `out`.
        steps = [(c << j, mask) for j, mask in enumerate(masks) if c << j < size]
        out = out[:, start : start + size]
        before = np.empty_like(e)
        for step, (shift, mask) in enumerate(steps, 1):
            _xor_before_where(mask, e, before, out if step == len(steps) else e, shift)
        if not steps:
            out[...] = e

    def backward(self, c: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """e_i = c_i ⊕ c_(i−1) where linked, else c_i."""
        masks = self._of_keys(keys)
        if masks:
            _xor_before_where(masks[0], c, out, out, self._channels)
        else:
            out[...] = c

    def _of_keys(self, keys: slice) -> list[np.ndarray]:
        return [reach[keys] if len(reach) > 1 else reach for reach in self._reach]


def _sums(e: np.ndarray, channels: int) -> np.ndarray:
    """The XOR of all positions of each channel (uint8 [M, C]) of `e` (uint8 [M, L], of whole `_WIDE` groups)."""
    wide = e.view(np.uint64).reshape(len(e), -1, _WIDE * channels)
    sums = np.bitwise_xor.reduce(wide, axis=1).view(np.uint8)
    while (half := sums.shape[1] // 2) >= channels:
        sums = sums[:, :half] ^ sums[:, half:]
    return np.asarray(sums)


def _xor_before(source: np.ndarray, target: np.ndarray, shift: int) -> None:
    """target_i = source_i ⊕ source_(i − shift), all [M, L]."""
    np.bitwise_xor(source[:, shift:], source[:, :-shift], out=target[:, shift:])
    target[:, :shift] = source[:, :shift]


def _xor_before_where(
    mask: np.ndarray, source: np.ndarray, before: np.ndarray, target: np.ndarray, shift: int
) -> None:
    """target_i = source_i ⊕ source_(i − shift) where the mask is 255, else source_i; `before` is overwritten.

    All are [M, L], or the mask [1, L]; `before` and `target` may be one array, or `target` and `source`.
    """
    np.bitwise_and(source[:, :-shift], mask[:, shift:], out=before[:, shift:])
    np.bitwise_xor(source[:, shift:], before[:, shift:], out=target[:, shift:])
    if target is not source:
        target[:, :shift] = source[:, :shift]
