"""The Beam transforms give what the cipher gives, image by image or in batches, and fetch the key on the worker."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.util import assert_that

from lpe.transforms import ciphers
from lpe.transforms.dofns import CipherDoFn, DecryptImages, EncryptImages, Example
from lpe.transforms.keyed import CipherSpec

SPEC = CipherSpec("lpe-100", salt="5a17")
PER_IMAGE = CipherSpec("lpe-100", salt="5a17", scope="image")


class HashPrf:
    """SHA-256 of the context."""

    def compute(self, context: bytes, length: int) -> bytes:
        """Its first bytes."""
        return hashlib.sha256(context).digest()[:length]


@dataclasses.dataclass(frozen=True)
class HashKey:
    """Names a key that needs no key store; `opened` counts who asked for it."""

    opened: list[str] = dataclasses.field(default_factory=list)

    def open(self) -> HashPrf:
        """The PRF."""
        self.opened.append("here")
        return HashPrf()


def examples():
    rng = np.random.default_rng(0)
    shapes = [(4, 4, 3), (5, 7, 1), (4, 4, 3), (5, 7, 1), (4, 4, 3)]
    return [Example(f"train-{i}", rng.integers(0, 256, shape, np.uint8), i) for i, shape in enumerate(shapes)]


def encrypted_by_hand(spec, example):
    image_id = example.id if spec.scope == "image" else None
    secret = hashlib.sha256(spec.context(example.image.shape, image_id)).digest()
    cipher = ciphers.create(spec.name, secret=secret, image_shape=example.image.shape)
    return cipher.encrypt(example.image[None])[0]


def started(spec, direction):
    fn = CipherDoFn(spec, HashKey(), direction)
    fn.setup()
    return fn


def equal(one, other):
    return (one.id, one.label) == (other.id, other.label) and np.array_equal(one.image, other.image)


@pytest.mark.parametrize("spec", [SPEC, PER_IMAGE], ids=lambda spec: spec.scope)
def test_one_by_one_and_in_batches_are_the_cipher(spec):
    given = examples()
    before = [example.image.copy() for example in given]
    fn = started(spec, "encrypt")
    single = [made for example in given for made in fn.process(example)]
    (batch,) = fn.process_batch(given)
    for example, one, other in zip(given, single, batch, strict=True):
        expected = dataclasses.replace(example, image=encrypted_by_hand(spec, example))
        assert equal(one, expected)
        assert equal(other, expected)
    assert all(np.array_equal(example.image, image) for example, image in zip(given, before, strict=True))
    (back,) = started(spec, "decrypt").process_batch(batch)
    assert all(equal(one, other) for one, other in zip(back, given, strict=True))


def test_an_empty_batch_stays_empty():
    assert list(started(SPEC, "encrypt").process_batch([])) == [[]]


def test_the_key_is_fetched_in_setup_and_not_pickled():
    key = HashKey()
    fn = CipherDoFn(SPEC, key, "encrypt")
    pickle.dumps(fn)
    assert key.opened == []
    fn.setup()
    assert key.opened == ["here"]
    with pytest.raises(TypeError, match="must not be pickled"):
        pickle.dumps(fn)


def test_other_images_than_bytes_are_refused():
    fn = started(SPEC, "encrypt")
    with pytest.raises(ValueError, match="uint8"):
        list(fn.process(Example("a", np.zeros((4, 4, 3), np.float32), 0)))
    with pytest.raises(ciphers.CipherError, match="multiples of 4"):
        list(
            started(CipherSpec("le", salt="5a17"), "encrypt").process(
                Example("a", np.zeros((5, 5, 3), np.uint8), 0)
            )
        )


def test_in_a_pipeline():
    given = examples()

    def as_given(actual):
        back = sorted(actual, key=lambda example: example.id)
        assert all(equal(one, other) for one, other in zip(back, given, strict=True))

    def as_the_cipher(actual):
        made = sorted(actual, key=lambda example: example.id)
        assert all(
            np.array_equal(one.image, encrypted_by_hand(SPEC, other))
            for one, other in zip(made, given, strict=True)
        )

    with Pipeline() as pipeline:
        encrypted = pipeline | beam.Create(given).with_output_types(Example) | EncryptImages(SPEC, HashKey())
        assert_that(encrypted, as_the_cipher, label="encrypted")
        assert_that(encrypted | DecryptImages(SPEC, HashKey()), as_given, label="decrypted")
