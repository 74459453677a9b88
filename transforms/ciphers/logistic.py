"""The logistic-map keystream (paper, equations 1 and 3), in IEEE-754 binary64; it is the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.errors import CipherError

MU_RANGE = (3.57, 4.0)
"""Control parameters that the paper allows, and explicit keys may have. One tenth of it is periodic windows."""
DERIVED_MU_RANGE = (3.99, 4.0)
"""Control parameters of derived keys, the upper end left out."""
KEY_BITS = 105
"""Of μ and d_0 together, at most: 2^52 doubles μ in the interval, 2^53 values of d_0."""

_HELD = 1 << 16  # doubles at a time, over all keys: an orbit takes eight times the memory of its keystream
_FEW = 24  # keys: up to here Python's floats, one key after the other, are faster than NumPy's over all keys
_AHEAD = 16  # keystream values by which an earlier occurrence of an orbit's last value is looked for


def walk(mu: np.ndarray, d0: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The keystreams s_1 … s_n of M keys, and whether each orbit runs into a cycle within its n values.

    An orbit that has repeated stays on its cycle, so its last value then occurred before.

    Args:
      mu: float64 [M], control parameters.
      d0: float64 [M], initial values.
      length: n, how many values, the first being that of d_1.

    Returns:
      uint8 [M, n] and bool [M].
    """
    s = np.empty((len(mu), length + _AHEAD), np.uint8)
    last = np.empty(len(mu), np.float64)
    for start, d in _orbits(mu, d0, length + _AHEAD):
        s[:, start : start + d.shape[1]] = _to_bytes(d)
        if start < length <= start + d.shape[1]:
            last[:] = d[:, length - 1 - start]
    cycles = np.zeros(len(mu), bool)
    for i, row in enumerate(s):
        # Where d_n occurred before, so did s_n, s_(n+1), … after it. Mostly they did not, and no double need be seen
        # again; where they did, the doubles decide.
        if row.tobytes().index(row[length - 1 :].tobytes()) < length - 1:
            again = _orbits(mu[i : i + 1], d0[i : i + 1], length - 1)
            cycles[i] = any((d == last[i]).any() for _, d in again)
    return s[:, :length], cycles


def keystreams(
    mu: Sequence[float], d0: Sequence[float], known: Sequence[np.ndarray | None], length: int
) -> np.ndarray:
    """The keystreams s (uint8 [M, n]) of M given keys.

    Args:
      mu: M control parameters.
      d0: M initial values.
      known: M keystreams that `derive` gave along with mu and d0, or None for those to be computed.
      length: n, how many values an image takes.

    Raises:
      CipherError: μ is not in [3.57, 4], d_0 not in (0, 1), a known keystream of another length, or an orbit that runs
        into a cycle.
    """
    low, high = MU_RANGE
    given_mu, given_d0 = np.array(mu, np.float64), np.array(d0, np.float64)
    if not ((low <= given_mu) & (given_mu <= high) & (given_d0 > 0) & (given_d0 < 1)).all():
        raise CipherError(
            f"the logistic map needs mu in [{low}, {high}] and d0 in (0, 1); a key given is outside"
        )
    at_hand = [s for s in known if s is not None]
    if any(s.shape != (length,) or s.dtype != np.uint8 for s in at_hand):
        raise CipherError(f"a key's keystream s must be uint8 [{length}] for this image shape; leave it out")
    if len(at_hand) == len(given_mu):
        return at_hand[0][None] if len(at_hand) == 1 else np.stack(at_hand)
    s, cycles = walk(given_mu, given_d0, length)
    if cycles.any():
        raise CipherError(
            f"the keystream runs into a cycle within the {length} values that this shape needs: choose another "
            "mu or d0"
        )
    return s


def derive(secrets: list[bytes], length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """μ and d_0 (float64 [M] each) for each secret, from its fields `mu` and `d0`, and the keystreams (uint8 [M, n]).

    A pair whose orbit runs into a cycle within `length` values is dropped, and the next pair is
    drawn from the same two streams.

    Raises:
      CipherError: a secret that is not 32 bytes long.
    """
    streams = [(FieldStream(secret, "mu"), FieldStream(secret, "d0")) for secret in secrets]
    mu = np.empty(len(secrets))
    d0 = np.empty(len(secrets))
    s = np.empty((len(secrets), length), np.uint8)
    left = np.arange(len(secrets))
    while left.size:
        for i in left:
            mu[i] = streams[i][0].uniform(*DERIVED_MU_RANGE)
            # 0 itself has probability 2^-53; its orbit is constant, so it is dropped like any cycle.
            d0[i] = streams[i][1].uniform(0.0, 1.0)
        s[left], cycles = walk(mu[left], d0[left], length)
        left = left[cycles]
    return mu, d0, s


def _orbits(mu: np.ndarray, d0: np.ndarray, length: int) -> Iterator[tuple[int, np.ndarray]]:
    """d_1 … d_n of M keys piece by piece: where each piece starts, and its values, float64 [M, m].

    Python's floats and NumPy's are the same doubles.
    """
    orbits = [_orbit(*key) for key in zip(mu.tolist(), d0.tolist(), strict=True)]
    d = d0
    step = max(64, _HELD // max(1, len(mu)))
    for start in range(0, length, step):
        count = min(step, length - start)
        if len(orbits) <= _FEW:
            yield start, np.stack([np.fromiter(orbit, np.float64, count) for orbit in orbits])
            continue
        piece = np.empty((count, len(mu)), np.float64)
        for row in piece:
            d = np.multiply(mu * d, 1.0 - d, out=row)
        yield start, piece.T


def _orbit(mu: float, d: float) -> Iterator[float]:
    """d_1, d_2, … of d_i = μ·d_(i−1)·(1 − d_(i−1)), without end.

    The association `(mu * d) * (1.0 - d)` is part of the format: another one gives other values
    within 5 to 13 steps.
    """
    while True:
        d = (mu * d) * (1.0 - d)
        yield d


def _to_bytes(d: np.ndarray) -> np.ndarray:
    """Equation 3, s = floor((d / 2)·10^14 mod 256) of d in [0, 1], as uint8 of the same shape."""
    # Below 2^46, so the conversion to an integer is floor, and exact.
    return (((d / 2.0) * 1e14).astype(np.int64) & 0xFF).astype(np.uint8)
