"""Chosen- and known-plaintext attacks: the whole key, from as many images as they claim, for every key."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms import attacks, ciphers
from lpe.transforms.attacks import Evidence, MisfitError, Target
from tests.transforms.attacks.pictures import blobs, photographs

SHAPE = (32, 32, 3)

# Scheme, parameters, most chosen images, most known pairs.
SCHEMES = [
    ("le", {}, 1, 1),
    ("ele", {}, 2, 40),
    ("etc", {}, 1, 2),
    ("vit-block", {}, 1, 1),
    ("vit-block", {"inner": "own"}, 1, 5),
    ("vit-block", {"block": "8", "signs": "false"}, 2, 1),
    ("pbe", {}, 1, 1),
    ("pbe", {"colour": "true"}, 1, 5),
    ("cpbe-50", {}, 1, 1),
    ("cpbe-100", {}, 1, 1),
    ("cpbe-100", {"channels": "independent"}, 1, 1),
    ("lpe-100", {}, 1, 10),
    ("lpe-100", {"chain": "row"}, 1, 10),
    ("lpe-100", {"channels": "independent"}, 2, 40),
    ("lpe-50", {}, 2, 10),
    ("lpe-50", {"chain": "row", "channels": "independent"}, 4, 40),
]


def encryption(name, params, shape=SHAPE, seed=0):
    secret = np.random.default_rng(seed).bytes(32)
    cipher = ciphers.create(name, image_shape=shape, secret=secret, **params)
    return cipher, Target(name, cipher.params, "dataset", shape), secret


def attack_of(adversary, target):
    (attack,) = [attack for attack in attacks.against(target) if attack.adversary == adversary]
    return attack


@pytest.mark.parametrize(("name", "params", "queries", "pairs"), SCHEMES)
def test_chosen_images_give_the_whole_key_of_twenty_of_twenty(name, params, queries, pairs):
    unseen = np.random.default_rng(1).integers(0, 256, (5, *SHAPE), np.uint8)
    for seed in range(20):
        cipher, target, _ = encryption(name, params, seed=seed)
        evidence = Evidence(target, cipher.encrypt(unseen), oracle=cipher.encrypt)
        recovery = attack_of("chosen-plaintext", target).learn(evidence)
        assert recovery.queries <= queries
        assert (recovery.restore(cipher.encrypt(unseen)) == unseen).all(), f"seed {seed}"


@pytest.mark.parametrize(("name", "params", "queries", "pairs"), SCHEMES)
def test_known_natural_images_give_the_whole_key(name, params, queries, pairs):
    images = photographs(pairs + 20)
    known, unseen = images[:pairs], images[pairs:]
    cipher, target, _ = encryption(name, params)
    evidence = Evidence(target, cipher.encrypt(unseen), known=(known, cipher.encrypt(known)))
    recovery = attack_of("known-plaintext", target).learn(evidence)
    assert (recovery.restore(cipher.encrypt(unseen)) == unseen).mean() > 0.999


def test_more_known_images_never_make_it_worse():
    images = photographs(40)
    cipher, target, _ = encryption("lpe-100", {})
    exact = []
    for count in (1, 2, 5, 20):
        known = (images[:count], cipher.encrypt(images[:count]))
        recovery = attack_of("known-plaintext", target).learn(Evidence(target, known[1], known=known))
        exact.append(float((recovery.restore(cipher.encrypt(images[20:])) == images[20:]).mean()))
    assert exact == sorted(exact)
    assert 0.5 < exact[0] < 0.95
    assert exact[-1] == 1


def test_the_key_of_lpe_is_the_true_one():
    """t = k·(s mod 128), from the cipher's own key material."""
    cipher, target, _ = encryption("lpe-100", {})
    recovery = attack_of("chosen-plaintext", target).learn(
        Evidence(target, np.empty((0, *SHAPE), np.uint8), None, cipher.encrypt)
    )
    grey = np.arange(128, dtype=np.uint8)[:, None, None, None] * np.ones((1, *SHAPE), np.uint8)
    e = cipher.encrypt(grey)
    flat = e.reshape(128, -1, 3)
    unchained = flat.copy()
    unchained[:, 1:] ^= flat[:, :-1]
    t = recovery.key["t"].reshape(-1, 1)
    plain = grey.reshape(128, -1, 3)
    assert (unchained == (t ^ ((plain + t) & 255))).all()
    assert t.max() < 128
    assert 0.4 < (t == 0).mean() < 0.6  # k = 0 for half of the positions


def test_the_keys_of_pbe_and_cpbe_are_the_true_ones():
    cipher, target, secret = encryption("pbe", {})
    (key,) = ciphers.scheme("pbe").derive_keys([secret], SHAPE, target.params)
    evidence = Evidence(target, np.empty((0, *SHAPE), np.uint8), None, cipher.encrypt)
    assert (attack_of("chosen-plaintext", target).learn(evidence).key["mask"] == key.mask).all()
    cipher, target, _ = encryption("cpbe-100", {})
    evidence = Evidence(target, np.empty((0, *SHAPE), np.uint8), None, cipher.encrypt)
    keystream = cipher.encrypt(np.zeros((1, *SHAPE), np.uint8))[0]
    assert (attack_of("chosen-plaintext", target).learn(evidence).key["t"] == keystream).all()


@pytest.mark.parametrize(("name", "params", "queries", "pairs"), SCHEMES)
def test_an_oracle_of_random_bytes_gives_nothing(name, params, queries, pairs):
    """The control: what the attacks restore comes from the scheme, not from their own guesses."""
    rng = np.random.default_rng(0)
    _, target, _ = encryption(name, params)
    images = photographs(20)
    noise = rng.integers(0, 256, images.shape, np.uint8)

    def oracle(chosen):
        return rng.integers(0, 256, chosen.shape, np.uint8)

    for adversary, evidence in (
        ("chosen-plaintext", Evidence(target, noise, oracle=oracle)),
        ("known-plaintext", Evidence(target, noise, known=(images[:10], noise[:10]))),
    ):
        try:
            restored = attack_of(adversary, target).learn(evidence).restore(noise[10:])
        except MisfitError:
            continue
        assert (restored == images[10:]).mean() < 0.02


@pytest.mark.parametrize("shape", [(8, 12, 1), (5, 7, 3), (1, 9, 2)])
@pytest.mark.parametrize("name", ["pbe", "cpbe-50", "cpbe-100", "lpe-50", "lpe-100"])
def test_any_shape(name, shape):
    cipher, target, _ = encryption(name, {}, shape)
    unseen = np.random.default_rng(1).integers(0, 256, (5, *shape), np.uint8)
    evidence = Evidence(target, cipher.encrypt(unseen), oracle=cipher.encrypt)
    recovery = attack_of("chosen-plaintext", target).learn(evidence)
    assert (recovery.restore(cipher.encrypt(unseen)) == unseen).all()


def test_a_key_per_image_leaves_nothing_to_ask_for():
    for name in ciphers.names():
        params = ciphers.resolve_params(name, {})
        applicable = attacks.against(Target(name, params, "image", SHAPE))
        assert {attack.adversary for attack in applicable} <= {"ciphertext-only"}


def test_missing_evidence_is_refused():
    _, target, _ = encryption("lpe-100", {})
    images = blobs(2, SHAPE)
    for adversary in ("chosen-plaintext", "known-plaintext"):
        with pytest.raises(ValueError, match="needs"):
            attack_of(adversary, target).learn(Evidence(target, images))
