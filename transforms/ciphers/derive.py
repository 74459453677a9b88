"""Derivation of key material from a 32-byte secret: HKDF-SHA256-Expand (RFC 5869), read as bits, floats, permutations.

Another implementation needs only this file and `tests/transforms/ciphers/golden.json` to compare with. Each
field of a scheme's key has a stream of its own, the concatenation of

    HKDF-Expand(secret, info = "lpe/v1/" + field + "/" + counter, 8160 bytes), counter = 0, 1, … in decimal

and is read from its start:

    cipher   field      read as
    lpe-*    mu, d0     a float each, mu in [3.99, 4), d0 in [0, 1); a pair whose orbit runs into a cycle
                        within the values that the image needs is dropped, and the next pair is read
             k          bits, one per keystream value
    cpbe-*   mu, d0, k  as in lpe-*
             shuffle    a permutation of the keystream values
    pbe      mask       bits, by (row, column, channel)
             colour     integers below 6, by (row, column); only with colour=true
    le       order      a permutation of the 2·4·4·C nibbles
             reverse    bits, one per nibble
    ele      orders     a permutation per block, one after the other
             reverses   bits, by (block, nibble)
             blocks     a permutation of the blocks
    etc      blocks     a permutation of the blocks
             rotate     integers below 4, one per block
             flip       integers below 3
             negative   bits
             colour     integers below 6
    vit-     blocks     a permutation of the blocks
    block    orders     a permutation of a block's b·b·C bytes; with inner=own one per block
             negatives  bits, one per byte of a block (inner=own: by (block, byte)); only with signs=true
"""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Iterator

import numpy as np

from lpe.transforms import labels
from lpe.transforms.errors import CipherError
from lpe.transforms.not_picklable import NotPicklable

SECRET_BYTES = 32
"""The length of a secret: what the PRF under the dataset's key is asked for."""
_BLOCK = 32
_BLOCKS_PER_PIECE = 255  # the most that one HKDF-Expand gives: 8,160 bytes


def _hkdf_blocks(secret: bytes, label: str) -> Iterator[bytes]:
    """The stream's 32-byte blocks T(1), T(2), ... (RFC 5869, section 2.3), a new info every 255 of them."""
    for counter in itertools.count():
        info = f"{label}{counter}".encode()
        block = b""
        for number in range(1, _BLOCKS_PER_PIECE + 1):
            block = hmac.digest(secret, block + info + bytes([number]), "sha256")
            yield block


class FieldStream(NotPicklable):
    """The bytes of one named field of key material, in order.

    Reading moves on: what is read depends on what was read before. For use by one thread.

    Args:
      secret: 32 bytes, the output of the dataset's (or image's) PRF.
      field: the field's name, e.g. `mu`.

    Raises:
      CipherError: the secret has another length.
    """

    def __init__(self, secret: bytes, field: str) -> None:
        if len(secret) != SECRET_BYTES:
            raise CipherError(f"a secret has {SECRET_BYTES} bytes, this one {len(secret)}")
        self._blocks = _hkdf_blocks(secret, labels.key_field(field))
        self._unread = b""

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        pieces = [self._unread]
        size = len(self._unread)
        while size < count:
            pieces.append(next(self._blocks))
            size += _BLOCK
        joined = b"".join(pieces)
        self._unread = joined[count:]
        return joined[:count]

    def bits(self, count: int) -> np.ndarray:
        """uint8 [count] of 0 and 1, one bit a position, most significant first."""
        raw = np.frombuffer(self.take(-(-count // 8)), np.uint8)
        return np.unpackbits(raw, count=count)

    def uniform(self, low: float, high: float) -> float:
        """A float in [low, high): low + (high − low)·u/2^53, u the top 53 bits of 8 bytes big-endian."""
        u = int.from_bytes(self.take(8), "big") >> 11
        return low + (high - low) * (u / (1 << 53))

    def below(self, bound: int, count: int) -> np.ndarray:
        """int64 [count], unbiased in [0, bound): 4-byte big-endian words modulo `bound`.

        A word at or beyond the last multiple of `bound` below 2^32 is passed over.
        """
        return self._below(np.full(count, bound, np.uint64)).astype(np.int64)

    def permutation(self, count: int) -> np.ndarray:
        """int64 [count], a permutation: Fisher-Yates from the last index down, partners from `below`'s rule."""
        order = list(range(count))
        partners = self._below(np.arange(count, 1, -1, dtype=np.uint64)).tolist()
        for i, j in zip(range(count - 1, 0, -1), partners, strict=True):
            order[i], order[j] = order[j], order[i]
        return np.array(order, np.int64)

    def permutations(self, number: int, count: int) -> np.ndarray:
        """int64 [number, count], the permutations that as many calls of `permutation` give."""
        bounds = np.tile(np.arange(count, 1, -1, dtype=np.uint64), number)
        partners = self._below(bounds).reshape(number, count - 1).astype(np.int64)
        orders = np.tile(np.arange(count)[:, None], (1, number))
        each = np.arange(number)
        for i, j in zip(range(count - 1, 0, -1), partners.T, strict=True):
            last = orders[i].copy()
            orders[i] = orders[j, each]
            orders[j, each] = last
        return np.ascontiguousarray(orders.T)

    def _below(self, bounds: np.ndarray) -> np.ndarray:
        """One value below each bound (uint64), the same as drawing them one after the other."""
        limits = 2**32 - 2**32 % bounds
        words = self._words(len(bounds))
        while (rejected := np.flatnonzero(words >= limits)).size:
            # Rejections are rare: drop the first one, and what follows moves up by one.
            words = np.concatenate([np.delete(words, rejected[0]), self._words(1)])
        return np.asarray(words % bounds)

    def _words(self, count: int) -> np.ndarray:
        """The next words of 4 bytes, big-endian, as uint64 [count]."""
        return np.frombuffer(self.take(4 * count), ">u4").astype(np.uint64)
