"""Every scheme: known answers, the literal reference, inverse, independence, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lpe.transforms import ciphers
from lpe.transforms.ciphers import cpbe, lpe, pbe, vit_block
from tests.transforms.ciphers import reference

GOLDEN = Path(__file__).with_name("golden.json")
ENCRYPTING = [name for name in ciphers.names() if name != "plain"]
secrets = st.binary(min_size=32, max_size=32)


@st.composite
def schemes(draw, encrypting: bool = False):
    """(name, all its parameters, an image shape that it admits)."""
    name = draw(st.sampled_from(ENCRYPTING if encrypting else ciphers.names()))
    params = {
        k: draw(st.sampled_from(v))
        for k, v in ciphers.scheme(name).default_params().items()
        if k not in ciphers.scheme(name).later_params
    }
    size = st.integers(1, 9)
    channels = draw(st.integers(1, 4))
    if name in ("le", "ele", "etc", "vit-block"):
        block = int(params.get("block", 4))
        size = st.integers(1, 3 if block == 4 else 2).map(lambda blocks: block * blocks)
    if name == "etc" or params.get("colour") == "true":
        channels = 3
    return name, params, (draw(size), draw(size), channels)


def batches(shape: tuple[int, int, int]) -> st.SearchStrategy[np.ndarray]:
    return st.integers(1, 4).flatmap(lambda n: hnp.arrays(np.uint8, (n, *shape)))


def derived(name: str, secret: bytes, shape: tuple[int, int, int], params: dict[str, str]):
    return ciphers.scheme(name).derive_keys([secret], shape, params)[0]


@settings(max_examples=150, deadline=None)
@given(st.data(), schemes(), secrets)
def test_every_scheme_equals_its_formulas(data, scheme, secret):
    name, params, shape = scheme
    key = derived(name, secret, shape, params)
    images = data.draw(batches(shape))
    cipher = ciphers.create(name, key=key, image_shape=shape, **params)
    expected = [reference.SCHEMES[name](name, key, image, params) for image in images]
    assert np.array_equal(cipher.encrypt(images), np.stack(expected))
    derived_alike = ciphers.create(name, secret=secret, image_shape=shape, **params)
    assert np.array_equal(derived_alike.encrypt(images), np.stack(expected))


@pytest.mark.parametrize(
    "case", json.loads(GOLDEN.read_text()), ids=lambda case: f"{case['cipher']} {case['params']}"
)
def test_golden_key_material_and_ciphertexts(case):
    """Pins derivation and cipher: another implementation must give the same.

    The secret is bytes 0 … 31, the image bytes 0 … 95; floats are in C99's hexadecimal form.
    """
    name, shape = case["cipher"], tuple(case["image_shape"])
    key = derived(name, bytes(range(32)), shape, ciphers.resolve_params(name, case["params"]))
    for field, expected in case["key"].items():
        value = getattr(key, field)
        if isinstance(expected, str):
            assert value.hex() == expected
        else:
            assert np.array_equal(value, expected)
    cipher = ciphers.create(name, secret=bytes(range(32)), image_shape=shape, **case["params"])
    image = np.arange(96, dtype=np.uint8).reshape(1, *shape)
    assert cipher.encrypt(image).tobytes().hex() == case["ciphertext"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ciphers.names())
def test_images_may_lie_in_memory_in_any_order(name, channels):
    """Reversed, transposed and spaced out; of more than one tile."""
    shape = (28, 192 // channels, channels)
    if name == "etc" and channels != 3:
        return
    cipher = ciphers.create(name, secret=bytes(32), image_shape=shape)
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    spaced = np.zeros((3, 28, 2 * shape[1], channels), np.uint8)
    spaced[:, :, ::2] = images
    backwards = np.ascontiguousarray(images[::-1, ::-1, ::-1, ::-1])[::-1, ::-1, ::-1, ::-1]
    expected = cipher.encrypt(images)
    for same in (np.asfortranarray(images), spaced[:, :, ::2], backwards):
        assert np.array_equal(cipher.encrypt(same), expected)
        assert np.array_equal(cipher.decrypt(expected.copy(order="F")), images)


def test_empty_batch():
    cipher = ciphers.create("lpe-100", secret=bytes(32), image_shape=(4, 4, 3))
    assert cipher.encrypt(np.empty((0, 4, 4, 3), np.uint8)).shape == (0, 4, 4, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ciphers.create("rot13", secret=bytes(32), image_shape=(4, 4, 3)), "unknown cipher 'rot13'"),
        (lambda: ciphers.create("lpe-100", secret=bytes(31), image_shape=(4, 4, 3)), "32 bytes"),
        (lambda: ciphers.create("lpe-100", secret=bytes(32), image_shape=(0, 4, 3)), "at least 1"),
        (
            lambda: ciphers.create("lpe-100", secret=bytes(32), image_shape=(4, 4, 3), chain="zigzag"),
            "raster or row",
        ),
        (
            lambda: ciphers.create("lpe-100", secret=bytes(32), image_shape=(4, 4, 3), speed="fast"),
            "no parameter",
        ),
        (lambda: ciphers.create("lpe-100", image_shape=(4, 4, 3)), "exactly one"),
        (
            lambda: ciphers.create("lpe-100", key=lpe.Key(3.0, 0.4, np.ones(16)), image_shape=(4, 4, 1)),
            "mu in",
        ),
        (
            lambda: ciphers.create("lpe-100", key=lpe.Key(4.0, 0.3, np.ones(15)), image_shape=(4, 4, 1)),
            r"\(16,\)",
        ),
        (
            lambda: ciphers.create("lpe-100", key=lpe.Key(4.0, 0.3, np.full(16, 2)), image_shape=(4, 4, 1)),
            r"0\.\.1",
        ),
        (
            lambda: ciphers.create(
                "cpbe-100", key=cpbe.Key(4.0, 0.3, np.zeros(16, int), np.ones(16)), image_shape=(4, 4, 1)
            ),
            "permutations",
        ),
        (lambda: ciphers.create("pbe", key=pbe.Key(np.zeros((4, 4))), image_shape=(4, 4, 3)), "mask"),
        (
            lambda: ciphers.create(
                "pbe", key=pbe.Key(np.zeros((4, 4, 3))), image_shape=(4, 4, 3), colour=True
            ),
            "colour",
        ),
        (
            lambda: ciphers.create("pbe", secret=bytes(32), image_shape=(4, 4, 1), colour=True),
            "3 channels.*RGB",
        ),
        (lambda: ciphers.create("etc", secret=bytes(32), image_shape=(4, 4, 1)), "3 channels"),
        (lambda: ciphers.create("le", secret=bytes(32), image_shape=(30, 33, 3)), "multiples of 4.*32x32"),
        (lambda: ciphers.create("ele", secret=bytes(32), image_shape=(30, 32, 3)), "multiples of 4"),
        (lambda: ciphers.create("etc", secret=bytes(32), image_shape=(32, 31, 3)), "multiples of 4"),
        (
            lambda: ciphers.create("vit-block", secret=bytes(32), image_shape=(32, 40, 3), block="16"),
            "block=16 needs .* multiples of 16, not 32x40; .*32x32",
        ),
        (
            lambda: ciphers.create("vit-block", secret=bytes(32), image_shape=(32, 32, 3), block="5"),
            "4 or 8 or 16",
        ),
        (
            lambda: ciphers.create(
                "vit-block", key=vit_block.Key(np.arange(1), np.arange(16)[None]), image_shape=(4, 4, 1)
            ),
            "negatives must be given with signs=true",
        ),
        (
            lambda: ciphers.create(
                "vit-block",
                key=vit_block.Key(np.arange(2), np.arange(16)[None]),
                image_shape=(4, 8, 1),
                inner="own",
                signs=False,
            ),
            r"orders must have shape \(2, 16\)",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ciphers.CipherError, match=message):
        call()


def test_other_images_than_the_cipher_is_for_are_refused():
    cipher = ciphers.create("lpe-100", secret=bytes(32), image_shape=(4, 4, 3))
    with pytest.raises(ciphers.CipherError, match=r"uint8 \[N, 4, 4, 3\]"):
        cipher.encrypt(np.zeros((1, 4, 5, 3), np.uint8))
    with pytest.raises(ciphers.CipherError, match="float32"):
        cipher.encrypt(np.zeros((1, 4, 4, 3), np.float32))
    each = ciphers.create("lpe-100", secrets=[bytes(32)] * 2, image_shape=(4, 4, 3))
    with pytest.raises(ciphers.CipherError, match="keys for 2 images, got 3"):
        each.encrypt(np.zeros((3, 4, 4, 3), np.uint8))


def test_key_spaces():
    def bits(name, shape, **params):
        return ciphers.scheme(name).key_bits(name, shape, ciphers.resolve_params(name, params))

    assert bits("pbe", (32, 32, 3)) == 3072
    assert bits("pbe", (2, 2, 3), colour="true") == pytest.approx(12 + 4 * np.log2(6))
    assert bits("lpe-100", (32, 32, 3)) == 105 + 1024
    assert bits("lpe-100", (32, 32, 3), channels="independent") == 105 + 3072
    # A block of 4×4×3 bytes has 96 nibbles: 96! orders, and 2^96 choices of reversed ones.
    assert bits("le", (4, 4, 3)) == pytest.approx(sum(np.log2(range(1, 97))) + 96)
    assert bits("ele", (8, 4, 3)) == pytest.approx(2 * bits("le", (4, 4, 3)) + 1)
    assert bits("etc", (8, 4, 3)) == pytest.approx(2 * np.log2(4 * 3 * 2 * 6) + 1)
    # A block of 4×4 bytes has 16! orders, and 2^16 choices of inverted ones.
    assert bits("vit-block", (4, 8, 1)) == pytest.approx(1 + sum(np.log2(range(1, 17))) + 16)
    assert bits("vit-block", (4, 8, 1), inner="own", signs="false") == pytest.approx(
        1 + 2 * sum(np.log2(range(1, 17)))
    )
    assert bits("cpbe-100", (2, 2, 3)) == pytest.approx(105 + np.log2(24))
    assert bits("cpbe-50", (2, 2, 3)) == pytest.approx(105 + np.log2(24) + 4)


def test_ciphers_need_numpy_alone():
    code = (
        "import sys; before = set(sys.modules); import lpe.transforms.ciphers; "  # site packages may preload some
        "ours = {m.split('.')[0] for m in set(sys.modules) - before}; "
        "print(sorted(ours & {'apache_beam', 'tensorflow', 'tink', 'PIL', 'pyarrow', 'google'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
