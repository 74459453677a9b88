"""Attacks on pools of keys: each image's key is told from its ciphertext, and what broke one key breaks them all."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms import attacks, ciphers
from lpe.transforms.attacks import Evidence, MisfitError, Target, key_groups
from tests.transforms.attacks.pictures import REAL, blobs, floor, photographs, psnr

SHAPE = (32, 32, 3)


class Pool:
    """An encryption service with a pool of keys, each image under one of them that chance chooses."""

    def __init__(self, keys=8, shape=SHAPE, colour="false"):
        self._rng = np.random.default_rng(0)
        self._secrets = [self._rng.bytes(32) for _ in range(keys)]
        self._settings = {"pool": str(keys), "colour": colour}
        self.target = Target("pbe", ciphers.resolve_params("pbe", self._settings), "dataset", shape)
        self.which = np.empty(0, np.int64)

    def encrypt(self, images):
        """Ciphertexts; `which` says under which keys."""
        self.which = self._rng.integers(0, len(self._secrets), len(images))
        secrets = [self._secrets[i] for i in self.which]
        shape = images.shape[1:]
        return ciphers.create("pbe", image_shape=shape, secrets=secrets, **self._settings).encrypt(images)


def attack_of(adversary, target):
    (attack,) = [attack for attack in attacks.against(target) if attack.adversary == adversary]
    return attack


def test_images_are_grouped_by_their_keys():
    pool = Pool()
    features = key_groups.signs_of(pool.encrypt(photographs(120)))
    which = key_groups.assign(features, key_groups.groups(features, 8))
    assert len(set(zip(which.tolist(), pool.which.tolist(), strict=True))) == 8


@pytest.mark.parametrize(("colour", "count", "exact"), [("false", 100, 0.999), ("true", 400, 0.97)])
def test_ciphertexts_of_a_pool_of_eight_are_enough(colour, count, exact):
    if not REAL.is_file():
        pytest.skip("negatives are told from photographs: the real images of ../shared/data are not here")
    pool, images = Pool(colour=colour), photographs(count + 40)
    encrypted = pool.encrypt(images)
    attack = attack_of("ciphertext-only", pool.target)
    assert attack.name == "key-pool"
    recovery = attack.learn(Evidence(pool.target, encrypted[:count]))
    assert (recovery.restore(encrypted[count:]) == images[count:]).mean() >= exact
    assert recovery.key["mask"].shape == (8, *SHAPE)


@pytest.mark.parametrize("colour", ["false", "true"])
@pytest.mark.parametrize("keys", [2, 16])
def test_chosen_images_give_every_key(keys, colour):
    pool, images = Pool(keys, colour=colour), photographs(40)
    attack = attack_of("chosen-plaintext", pool.target)
    recovery = attack.learn(Evidence(pool.target, np.empty((0, *SHAPE), np.uint8), oracle=pool.encrypt))
    assert recovery.queries < 10 * keys + 4
    assert (recovery.restore(pool.encrypt(images)) == images).all()


@pytest.mark.parametrize(("colour", "pairs"), [("false", 60), ("true", 100)])
def test_known_pairs_give_every_key_that_they_have(colour, pairs):
    pool, images = Pool(colour=colour), photographs(pairs + 40)
    known = (images[:pairs], pool.encrypt(images[:pairs]))
    attack = attack_of("known-plaintext", pool.target)
    recovery = attack.learn(Evidence(pool.target, known[1], known=known))
    assert len(recovery.key["mask"]) == 8
    assert (recovery.restore(pool.encrypt(images[pairs:])) == images[pairs:]).mean() > 0.99


def test_evidence_of_more_keys_than_the_pool_has_is_refused():
    images, service = photographs(60), Pool(16)
    evidence = Evidence(
        Pool(8).target, images, known=(images, service.encrypt(images)), oracle=service.encrypt
    )
    for adversary in ("known-plaintext", "chosen-plaintext"):
        with pytest.raises(MisfitError, match="more keys than the pool"):
            attack_of(adversary, evidence.target).learn(evidence)


def test_random_bytes_give_nothing():
    plain = photographs(40)
    noise = np.random.default_rng(0).integers(0, 256, plain.shape, np.uint8)
    target = Pool().target
    restored = attack_of("ciphertext-only", target).learn(Evidence(target, noise[:30])).restore(noise)
    assert psnr(restored[30:], plain[30:]) < floor(plain, noise) + 1


@pytest.mark.parametrize(("shape", "count"), [((1, 1, 1), 3), ((9, 5, 3), 1), ((70, 60, 3), 4)])
def test_any_shape_and_number_will_do(shape, count):
    pool, images = Pool(shape=shape), blobs(count, shape)
    encrypted = pool.encrypt(images)
    recovery = attack_of("ciphertext-only", pool.target).learn(Evidence(pool.target, encrypted))
    assert recovery.restore(encrypted).shape == images.shape
    assert len(recovery.restore(encrypted[:0])) == 0
