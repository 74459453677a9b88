"""Experiments: what each adversary has, and that nothing is learnt from what is measured."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.pipeline.audit.experiment import experiment_on_scheme, sample
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms import reductions
from lpe.transforms.errors import CipherError, DataError, UsageError


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return sample(ReadSpec("synthetic:100"), 50)[0]


def test_every_fifth_image_is_held_out(images):
    setup = experiment_on_scheme(images, "lpe-100", {}, "dataset")
    assert setup.images == 50
    assert np.array_equal(setup.held_out[0], images[4::5])
    assert len(setup.plain) == 40
    assert np.array_equal(setup.oracle(setup.plain), setup.encrypted)


def test_each_adversary_has_no_more_than_theirs(images):
    setup = experiment_on_scheme(images, "pbe", {}, "dataset")
    alone = setup.evidence("ciphertext-only", 3)
    assert (len(alone.ciphertexts), alone.known, alone.oracle) == (3, None, None)
    known = setup.evidence("known-plaintext", 2)
    assert np.array_equal(known.known[0], setup.plain[:2])
    assert known.oracle is None
    chosen = setup.evidence("chosen-plaintext", 1)
    assert chosen.known is None
    assert chosen.oracle is setup.oracle


def test_with_a_key_per_image_there_is_nobody_to_ask(images):
    setup = experiment_on_scheme(images, "pbe", {"colour": "true"}, "image")
    assert setup.oracle is None
    assert dict(setup.target.params) == {"colour": "true"}


def test_reduced_images_are_encrypted_and_the_plain_ones_kept_to_compare(images):
    setup = experiment_on_scheme(images, "pbe", {}, "dataset", reductions.parse("thumbnail=8,grey"))
    assert (setup.target.image_shape, setup.target.plain_shape) == ((8, 8, 1), (32, 32, 3))
    assert str(setup.target.reduction) == "thumbnail=8,grey"
    assert np.array_equal(setup.held_out[0], images[4::5])
    assert np.array_equal(setup.held_out_reduced, setup.target.reduction.apply(images[4::5]))
    assert np.array_equal(setup.oracle(setup.held_out_reduced), setup.held_out[1])
    evidence = setup.evidence("known-plaintext", 2)
    assert np.array_equal(evidence.known[0], setup.reduced[:2])
    assert np.array_equal(evidence.public, setup.plain)
    assert np.array_equal(setup.candidates[: len(images) // 5], images[4::5])
    with pytest.raises(UsageError, match="thumbnail=32"):
        experiment_on_scheme(images, "pbe", {}, "dataset", reductions.parse("thumbnail=32"))


def test_what_is_no_experiment(images):
    with pytest.raises(CipherError, match="rot13"):
        experiment_on_scheme(images, "rot13", {}, "dataset")
    with pytest.raises(DataError, match="only 5 images; an audit needs 10 or more"):
        sample(ReadSpec("synthetic:100"), 5)
