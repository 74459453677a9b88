"""Code words for nibbles: a few values of each show which nibble of the plaintext it was.

The nibble ciphers permute a block's nibbles and replace some v by 15 − v. Give every nibble of a block
a word of w nibbles, one for each of w blocks (le: they share a key) or images (ele) that undergo the
same permutation. A word and its complement must mean the same nibble, so w nibbles make 16^w / 2 words:
those whose first nibble is below 8. A first nibble of 8 or more then shows that the nibble is inverted.
With fewer words than nibbles two nibbles would share one, and exchanging them in the key would change
nothing that is seen: w is as small as it can be.
"""

from __future__ import annotations

import numpy as np


def capacity(length: int) -> int:
    """The number of words of `length` nibbles."""
    return int(8 * 16 ** (length - 1))


def length_for(count: int) -> int:
    """The least length of which there are `count` words."""
    length = 1
    while capacity(length) < count:
        length += 1
    return length


def write(numbers: np.ndarray, length: int) -> np.ndarray:
    """Words (uint8 [length, ...] of 0..15, most significant first) of numbers below `capacity(length)`."""
    shifts = 4 * np.arange(length - 1, -1, -1).reshape(-1, *[1] * numbers.ndim)
    return ((numbers[None] >> shifts) & 15).astype(np.uint8)


def read(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers (int64 [...]) of words (uint8 [length, ...]), and whether each was inverted (bool)."""
    flipped = words[0] >= 8
    digits = np.where(flipped, 15 - words, words).astype(np.int64)
    shifts = 4 * np.arange(len(words) - 1, -1, -1).reshape(-1, *[1] * flipped.ndim)
    return (digits << shifts).sum(axis=0), flipped


def is_permutation(rows: np.ndarray) -> bool:
    """Whether each row (int [..., L]) holds 0..L−1 once each."""
    return bool((np.sort(rows, axis=-1) == np.arange(rows.shape[-1])).all())
