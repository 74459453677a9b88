"""The logistic-map keystream (paper, equations 1 and 3), in IEEE-754 binary64; it is the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.errors import CipherError

MU_RANGE = (3.57, 4.0)
"""Control parameters that the paper allows, and explicit keys may have. One tenth of it is periodic windows."""
DERIVED_MU_RANGE = (3.99, 4.0)
"""Control parameters of derived keys, the upper end left out."""
KEY_BITS = 105
"""Of μ and d_0 together, at most: 2^52 doubles μ in the interval, 2^53 values of d_0."""


def orbit(mu: np.ndarray, d0: np.ndarray, length: int) -> np.ndarray:
    """d_1 … d_length of d_i = μ·d_(i−1)·(1 − d_(i−1)) for M keys at once.

    The association `(mu * d) * (1.0 - d)` is part of the format: another one gives other values
    within 5 to 13 steps.

    Args:
      mu: float64 [M], control parameters.
      d0: float64 [M], initial values.
      length: how many values, the first being d_1.

    Returns:
      float64 [M, length].
    """
    out = np.empty((length, len(mu)), np.float64)
    d = np.asarray(d0, np.float64)
    for i in range(length):
        d = np.multiply(mu * d, 1.0 - d, out=out[i])
    return np.ascontiguousarray(out.T)


def to_bytes(d: np.ndarray) -> np.ndarray:
    """Equation 3, s = floor((d / 2)·10^14 mod 256) of d in [0, 1], as uint8 of the same shape."""
    # Below 2^46, so the conversion to an integer is floor, and exact.
    return (((d / 2.0) * 1e14).astype(np.int64) & 0xFF).astype(np.uint8)


def repeats(d: np.ndarray) -> np.ndarray:
    """Whether each orbit (float64 [M, n]) runs into a cycle within its n values, as bool [M].

    An orbit that has repeated stays on its cycle, so its last value then occurred before.
    """
    return np.asarray((d[:, :-1] == d[:, -1:]).any(axis=1))


def keystreams(mu: Sequence[float], d0: Sequence[float], length: int) -> np.ndarray:
    """The keystreams s (uint8 [M, n]) of M given keys.

    Args:
      mu: M control parameters.
      d0: M initial values.
      length: n, how many values an image takes.

    Raises:
      CipherError: μ is not in [3.57, 4], d_0 not in (0, 1), or an orbit runs into a cycle.
    """
    low, high = MU_RANGE
    given_mu, given_d0 = np.array(mu, np.float64), np.array(d0, np.float64)
    if not ((low <= given_mu) & (given_mu <= high) & (given_d0 > 0) & (given_d0 < 1)).all():
        raise CipherError(
            f"the logistic map needs mu in [{low}, {high}] and d0 in (0, 1); a key given is outside"
        )
    d = orbit(given_mu, given_d0, length)
    if repeats(d).any():
        raise CipherError(
            f"the keystream runs into a cycle within the {length} values that this shape needs: choose another "
            "mu or d0"
        )
    return to_bytes(d)


def derive(secrets: list[bytes], length: int) -> tuple[np.ndarray, np.ndarray]:
    """μ and d_0 (float64 [M] each) for each secret, from its fields `mu` and `d0`.

    A pair whose orbit runs into a cycle within `length` values is dropped, and the next pair is
    drawn from the same two streams.

    Raises:
      CipherError: a secret that is not 32 bytes long.
    """
    streams = [(FieldStream(secret, "mu"), FieldStream(secret, "d0")) for secret in secrets]
    mu = np.empty(len(secrets))
    d0 = np.empty(len(secrets))
    left = np.arange(len(secrets))
    while left.size:
        for i in left:
            mu[i] = streams[i][0].uniform(*DERIVED_MU_RANGE)
            # 0 itself has probability 2^-53; its orbit is constant, so it is dropped like any cycle.
            d0[i] = streams[i][1].uniform(0.0, 1.0)
        left = left[repeats(orbit(mu[left], d0[left], length))]
    return mu, d0
