"""Chains against their definition, one position at a time, and the chain of lpe on large images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.transforms import ciphers
from lpe.transforms.ciphers import lpe
from lpe.transforms.ciphers.chain import Chain, LinkedChain, RasterChain
from tests.transforms.ciphers import reference


def chained(e: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """c of e, uint8 [M, n, C], by the definition; linked is bool [M, C, n]."""
    c = e.copy()
    for image, row in zip(c, linked, strict=True):
        for i in range(1, len(image)):
            for channel in range(image.shape[1]):
                if row[channel, i]:
                    image[i, channel] ^= image[i - 1, channel]
    return c


def check(chain: Chain, e: np.ndarray, linked: np.ndarray, keys: slice) -> None:
    flat = e.reshape(len(e), -1)
    c, back = np.empty_like(flat), np.empty_like(flat)
    chain.forward(flat.copy(), c, keys)
    assert np.array_equal(c.reshape(e.shape), chained(e, linked))
    chain.backward(c, back, keys)
    assert np.array_equal(back, flat)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_raster_chain_links_all_positions_but_the_first(count, positions, channels, seed):
    e = np.random.default_rng(seed).integers(0, 256, (count, positions, channels), np.uint8)
    check(RasterChain(channels), e, np.ones((count, channels, positions), bool), slice(0, 1))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.booleans(), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_linked_chain_links_what_each_key_says(positions, channels, shared, share, seed):
    rng = np.random.default_rng(seed)
    e = rng.integers(0, 256, (3, positions, channels), np.uint8)
    linked = rng.random((3, 1 if shared else channels, positions)) < share
    linked[..., 0] = False
    per_channel = np.broadcast_to(linked, (3, channels, positions))
    chain = LinkedChain(linked, channels)
    check(chain, e, per_channel, slice(0, 3))
    check(chain, e[1:], per_channel[1:], slice(1, 3))
    one_key = LinkedChain(linked[:1], channels)
    check(one_key, e, np.repeat(per_channel[:1], 3, axis=0), slice(0, 1))


@pytest.mark.parametrize("shape", [(33, 35, 3), (64, 64, 1), (50, 41, 4), (8, 300, 2)])
@pytest.mark.parametrize("name", ["lpe-50", "lpe-100"])
@pytest.mark.parametrize("part", [lpe._PART_POSITIONS, 384])
def test_the_chain_of_large_images_of_any_size(name, shape, part, monkeypatch):
    """Large enough for every level of the prefix-XOR, with and without a rest, in one part and in several."""
    monkeypatch.setattr(lpe, "_PART_POSITIONS", part)
    images = np.random.default_rng(3).integers(0, 256, (2, *shape), dtype=np.uint8)
    params = ciphers.resolve_params(name, {})
    (key,) = ciphers.scheme(name).derive_keys([bytes(range(32))], shape, params)
    cipher = ciphers.create(name, key=key, image_shape=shape)
    encrypted = cipher.encrypt(images)
    assert np.array_equal(encrypted[1], reference.lpe(name, key, images[1], params))
    assert np.array_equal(cipher.decrypt(encrypted), images)
