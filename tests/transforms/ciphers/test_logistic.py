"""The logistic-map keystream: bit-exact on every machine, and never a cycle in a derived key."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.transforms.ciphers import logistic
from lpe.transforms.ciphers.derive import FieldStream
from tests.transforms.ciphers import reference


def orbits(mu: np.ndarray, d0: np.ndarray, length: int) -> np.ndarray:
    """d_1 … d_n of M keys (float64 [M, n]) in NumPy's arithmetic, all of them at once."""
    out = np.empty((length, len(mu)), np.float64)
    d = d0
    for i in range(length):
        d = np.multiply(mu * d, 1.0 - d, out=out[i])
    return out.T


def repeats(d: np.ndarray) -> np.ndarray:
    """Whether the last value of each orbit (float64 [M, n]) occurred before: the definition."""
    return (d[:, :-1] == d[:, -1:]).any(axis=1)


def test_the_keystream_is_bit_exact():
    """Equation 3 over a hundred thousand steps; the hash pins it on every machine."""
    s, cycles = logistic.walk(np.array([3.999]), np.array([0.123456789]), 100_000)
    assert s[0, :1000].tolist() == reference.keystream(3.999, 0.123456789, 1000)
    assert (
        hashlib.sha256(s[0].tobytes()).hexdigest()
        == "2aa4fec3d8be67c2f0f08a49229037315a57ddbf5e540f3b0912dff855ae569c"
    )
    assert not cycles[0]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60), st.integers(-3, 40), st.integers(0, 2**32 - 1))
def test_one_key_and_many_keys_give_what_numpy_and_python_give(keys, more, seed):
    """A few keys walk in Python's floats, many in NumPy's; each piece ends at a length of its own."""
    rng = np.random.default_rng(seed)
    mu, d0 = rng.uniform(*logistic.MU_RANGE, keys), rng.uniform(0, 1, keys)
    length = max(1, (1 << 16) // keys + more) if keys > 1 else 5 + more
    s, cycles = logistic.walk(mu, d0, length)
    d = orbits(mu, d0, length)
    assert np.array_equal(s, np.floor(d / 2.0 * 1e14 % 256))
    assert np.array_equal(cycles, repeats(d))


@pytest.mark.parametrize("length", [(1 << 16) - 17, (1 << 16) - 1, 1 << 16, (1 << 16) + 1])
def test_one_long_orbit_in_pieces(length):
    mu, d0 = np.array([3.9957]), np.array([0.3])
    s, _ = logistic.walk(mu, d0, length)
    assert np.array_equal(s, np.floor(orbits(mu, d0, length) / 2.0 * 1e14 % 256))


def test_another_association_of_the_map_is_another_keystream():
    d = 0.123456789
    other = []
    for _ in range(100):
        d = 3.999 * (d * (1.0 - d))
        other.append(int((d / 2.0) * 1e14) % 256)
    assert other != reference.keystream(3.999, 0.123456789, 100)


def test_cycles_are_found():
    # mu = 3.83 has a cycle of three; 3.999 has none within an image.
    _, cycles = logistic.walk(np.array([3.83, 3.999]), np.array([0.4, 0.4]), 3072)
    assert cycles.tolist() == [True, False]


@pytest.mark.parametrize("copies", [1, 30])
def test_a_cycle_counts_from_the_first_value_that_comes_again(copies):
    """Bytes alone do not tell: near a cycle they repeat long before the doubles do."""
    mu, d0 = np.full(copies, 3.83), np.full(copies, 0.4)
    d = orbits(mu[:1], d0[:1], 600)
    first = next(n for n in range(1, 600) if repeats(d[:, :n])[0])
    s = logistic.walk(mu[:1], d0[:1], 700)[0].tobytes()
    alike = next(n for n in range(1, 600) if s.index(s[n - 1 : n + 31]) < n - 1)
    assert alike < first
    for length in (1, 2, alike, first - 1, first, first + 1, 600):
        assert (logistic.walk(mu, d0, length)[1] == (length >= first)).all()


def test_a_derived_key_whose_orbit_cycles_is_derived_again():
    """Among many secrets some first draws fall into a cycle; the derived keys never do."""
    every = [i.to_bytes(32, "big") for i in range(1500)]
    first_mu = np.array([FieldStream(secret, "mu").uniform(3.99, 4.0) for secret in every])
    first_d0 = np.array([FieldStream(secret, "d0").uniform(0.0, 1.0) for secret in every])
    cycling = repeats(orbits(first_mu, first_d0, 3072))
    mu, d0, s = logistic.derive(every, 3072)
    assert cycling.any()
    walked, cycles = logistic.walk(mu, d0, 3072)
    assert not cycles.any()
    assert np.array_equal(s, walked)
    assert np.array_equal(mu[~cycling], first_mu[~cycling])
    assert (mu[cycling] != first_mu[cycling]).all()
    again = logistic.derive(every, 3072)
    assert np.array_equal(mu, again[0])
    assert np.array_equal(d0, again[1])
