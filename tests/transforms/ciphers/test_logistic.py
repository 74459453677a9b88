"""The logistic-map keystream: bit-exact on every machine, and never a cycle in a derived key."""

from __future__ import annotations

import hashlib

import numpy as np

from lpe.transforms.ciphers import logistic
from lpe.transforms.ciphers.derive import FieldStream
from tests.transforms.ciphers import reference


def test_the_keystream_is_bit_exact():
    """Equation 3 over a million steps, against Python's own floats; the hash pins it on every machine."""
    d = logistic.orbit(np.array([3.999]), np.array([0.123456789]), 100_000)
    s = logistic.to_bytes(d)[0]
    assert s[:1000].tolist() == reference.keystream(3.999, 0.123456789, 1000)
    assert (
        hashlib.sha256(s.tobytes()).hexdigest()
        == "2aa4fec3d8be67c2f0f08a49229037315a57ddbf5e540f3b0912dff855ae569c"
    )


def test_another_association_of_the_map_is_another_keystream():
    d = 0.123456789
    other = []
    for _ in range(100):
        d = 3.999 * (d * (1.0 - d))
        other.append(int((d / 2.0) * 1e14) % 256)
    assert other != reference.keystream(3.999, 0.123456789, 100)


def test_cycles_are_found():
    # mu = 3.83 has a cycle of three; 3.999 has none within an image.
    d = logistic.orbit(np.array([3.83, 3.999]), np.array([0.4, 0.4]), 3072)
    assert logistic.repeats(d).tolist() == [True, False]


def test_a_derived_key_whose_orbit_cycles_is_derived_again():
    """Among many secrets some first draws fall into a cycle; the derived keys never do."""
    every = [i.to_bytes(32, "big") for i in range(1500)]
    first_mu = np.array([FieldStream(secret, "mu").uniform(3.99, 4.0) for secret in every])
    first_d0 = np.array([FieldStream(secret, "d0").uniform(0.0, 1.0) for secret in every])
    cycling = logistic.repeats(logistic.orbit(first_mu, first_d0, 3072))
    mu, d0 = logistic.derive(every, 3072)
    assert cycling.any()
    assert not logistic.repeats(logistic.orbit(mu, d0, 3072)).any()
    assert np.array_equal(mu[~cycling], first_mu[~cycling])
    assert (mu[cycling] != first_mu[cycling]).all()
    again = logistic.derive(every, 3072)
    assert np.array_equal(mu, again[0])
    assert np.array_equal(d0, again[1])
