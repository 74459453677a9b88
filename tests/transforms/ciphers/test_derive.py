"""Key derivation: what another implementation must reproduce."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lpe.transforms.ciphers import lpe
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.errors import CipherError

SECRET = bytes(range(32))


def hkdf(field: str, counter: int, length: int = 8160) -> bytes:
    info = f"lpe/v1/{field}/{counter}".encode()
    return HKDFExpand(hashes.SHA256(), length, info).derive(SECRET)


def test_the_stream_is_hkdf_expand_in_pieces_of_8160_bytes():
    expected = hkdf("k", 0) + hkdf("k", 1) + hkdf("k", 2)
    assert FieldStream(SECRET, "k").take(len(expected)) == expected
    stream = FieldStream(SECRET, "k")
    assert b"".join(stream.take(n) for n in (1, 31, 0, 33, 8100, 8160)) == expected[:16325]


def test_bits_are_most_significant_first():
    first = hkdf("k", 0)[0]
    assert FieldStream(SECRET, "k").bits(8).tolist() == [first >> (7 - i) & 1 for i in range(8)]


def test_floats_use_the_top_53_bits():
    u = int.from_bytes(hkdf("mu", 0)[:8], "big") >> 11
    assert FieldStream(SECRET, "mu").uniform(3.99, 4.0) == 3.99 + (4.0 - 3.99) * (u / 2**53)


def test_permutations_are_fisher_yates_with_rejection():
    words = [int.from_bytes(hkdf("order", 0)[i : i + 4], "big") for i in range(0, 400, 4)]
    order, at = list(range(10)), 0
    for i in range(9, 0, -1):
        while words[at] >= 2**32 - 2**32 % (i + 1):
            at += 1
        j, at = words[at] % (i + 1), at + 1
        order[i], order[j] = order[j], order[i]
    assert FieldStream(SECRET, "order").permutation(10).tolist() == order


def test_integers_below_a_bound_pass_over_what_would_be_biased():
    """3·2^30 is no power of two: one word in four is rejected, and the rest are taken in order."""
    bound = 3 << 30
    words = [int.from_bytes(hkdf("pick", 0)[i : i + 4], "big") for i in range(0, 800, 4)]
    accepted = [word for word in words if word < bound]
    assert len(accepted) < 180
    stream = FieldStream(SECRET, "pick")
    assert [*stream.below(bound, 100), *stream.below(bound, 20)] == accepted[:120]


def test_small_integers_are_uniform():
    counts = np.bincount(FieldStream(SECRET, "pick").below(6, 60_000), minlength=6)
    assert abs(counts - 10_000).max() < 5 * np.sqrt(60_000 * 5 / 36)


@pytest.mark.parametrize(("number", "count"), [(1, 1), (3, 2), (40, 96)])
def test_permutations_at_once_are_those_of_one_after_the_other(number, count):
    stream = FieldStream(SECRET, "orders")
    one_by_one = [stream.permutation(count).tolist() for _ in range(number)]
    assert FieldStream(SECRET, "orders").permutations(number, count).tolist() == one_by_one


def test_permutations_are_uniform():
    counts = np.zeros((4, 4))
    for i in range(4000):
        order = FieldStream(i.to_bytes(32, "big"), "order").permutation(4)
        counts[np.arange(4), order] += 1
    # Each cell is binomial(4000, 1/4): five standard deviations are 137.
    assert abs(counts - 1000).max() < 137


def test_golden_key_material():
    key = lpe.Lpe.derive_keys([SECRET], (4, 4, 1), {"chain": "raster", "channels": "shared"})[0]
    assert (key.mu.hex(), key.d0.hex()) == ("0x1.fede21d802aabp+1", "0x1.1c599e084e145p-1")
    assert np.packbits(key.k).tobytes().hex() == "6e04"


def test_a_secret_of_another_length_is_refused_and_streams_do_not_pickle():
    with pytest.raises(CipherError, match="32 bytes"):
        FieldStream(b"short", "k")
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(FieldStream(SECRET, "k"))
