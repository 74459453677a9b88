"""Re-identification: ranks with known answers, exact and useless attacks, and statistics that ciphers keep."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms import ciphers
from lpe.transforms.attacks import photographs
from lpe.transforms.fingerprints import fingerprints
from lpe.transforms.reductions import parse
from lpe.transforms.reidentification import CORRELATED, Candidates, Ranking, best, by_statistics, ranked

SECRET = bytes(range(32))
KEEPS = {
    "plain": "lowest bits",
    "pbe": "distances from middle grey",
    "etc": "histogram of distances from middle grey",
    "le": "nibbles of 4×4 blocks",
    "ele": "histogram of nibbles",
    "cpbe-100": "differences between channels",
    "cpbe-50": "lowest bits",
    "lpe-100": "lowest bits without the chain",
    "lpe-50": "lowest bits without the chain",
}


def scenes(count: int, seed: int, side: int = 16) -> np.ndarray:
    """Something like photographs: coarse colours, smooth between them, and a little grain."""
    random = np.random.default_rng(seed)
    coarse = random.normal(128, 60, (count, 4, 4, 3)).repeat(side // 4, axis=1).repeat(side // 4, axis=2)
    grain = random.normal(0, 6, (count, side, side, 3))
    return np.clip(coarse + grain, 0, 255).astype(np.uint8)


def encrypted_each(name: str, images: np.ndarray, seed: int) -> np.ndarray:
    """Ciphertexts under a key of its own for each image."""
    secrets = [np.random.default_rng([seed, i]).bytes(32) for i in range(len(images))]
    shape = images.shape[1:]
    return ciphers.create(name, image_shape=shape, secrets=secrets).encrypt(images)


CANDIDATES = scenes(100, 0)
RIGHT = np.arange(20)
PUBLIC = scenes(60, 1)


def share(ranking: Ranking) -> float:
    return float(ranking.first.mean())


def test_ranks_with_known_answers():
    scores = np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [3.0, 2.0, 1.0]])
    ranking = ranked(scores, np.array([0, 1, 1]))
    assert ranking.first.tolist() == [1, 0, 0]
    assert ranking.rank.tolist() == [1, 3, 2]


def test_equals_count_as_chance_does():
    scores = np.array([[5.0, 5.0, 1.0, 5.0], [1.0, 7.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0]])
    ranking = ranked(scores, np.array([1, 2, 0]))
    assert ranking.first == pytest.approx([1 / 3, 0, 1 / 4])
    assert ranking.rank.tolist() == [2, 3, 2.5]
    # What differs by rounding alone is equal.
    ranking = ranked(np.array([[1e6, 1e6 * (1 + 1e-12), 0.0]]), np.array([0]))
    assert ranking.first.tolist() == [0.5]


def test_what_is_no_number_is_worst():
    ranking = ranked(np.array([[np.nan, 1.0, -np.inf], [np.nan, np.nan, np.nan]]), np.array([0, 2]))
    assert ranking.first == pytest.approx([0, 1 / 3])
    assert ranking.rank.tolist() == [2.5, 2]


def test_the_way_to_rank_is_chosen_on_other_ciphertexts():
    good = Ranking(np.ones(4), np.ones(4))
    bad = Ranking(np.zeros(4), np.full(4, 50.0))
    name, ranking = best({"bad": bad, "good": good})
    assert (name, share(ranking)) == ("good", 1)
    # One that is right on the even ones is chosen for the odd ones, and the other way round.
    even = Ranking(np.array([1.0, 0, 1, 0]), np.array([1.0, 99, 1, 99]))
    odd = Ranking(np.array([0.0, 1, 0, 1]), np.array([99.0, 1, 99, 1]))
    assert share(best({"even": even, "odd": odd})[1]) == 0
    assert best({"first": good, "second": good})[0] == "first"
    assert share(best({"one": Ranking(np.ones(1), np.ones(1))})[1]) == 1


def test_what_is_restored_exactly_is_known_again():
    for scores in Candidates(CANDIDATES).correlations(CANDIDATES[RIGHT]).values():
        assert share(ranked(scores, RIGHT)) == 1


def test_noise_and_constants_are_no_better_than_a_guess():
    candidates = Candidates(CANDIDATES)
    noise = np.random.default_rng(5).integers(0, 256, (200, 16, 16, 3), np.uint8)
    right = np.arange(200) % 100
    ranking = best({name: ranked(each, right) for name, each in candidates.correlations(noise).items()})[1]
    assert share(ranking) < 0.05
    assert 35 < np.median(ranking.rank) < 65
    flat = np.full((20, 16, 16, 3), 77, np.uint8)
    for scores in candidates.correlations(flat).values():
        ranking = ranked(scores, RIGHT)
        assert share(ranking) == pytest.approx(1 / 100)
        assert np.median(ranking.rank) == 50.5


@pytest.mark.parametrize("leaves_open", ["negative", "mirror", "view"])
def test_views_that_an_attack_leaves_open_are_all_tried(leaves_open):
    which = {"negative": (0, 0, 1), "mirror": (6, 0, 0), "view": (3, 4, 1)}[leaves_open]
    turned = photographs.view(CANDIDATES[RIGHT], which)
    for scores in Candidates(CANDIDATES).correlations(turned, leaves_open).values():
        assert share(ranked(scores, RIGHT)) == 1
    assert share(ranked(Candidates(CANDIDATES).correlations(turned)["pixels"], RIGHT)) < 0.5


@pytest.mark.parametrize("name", KEEPS)
def test_one_ciphertext_with_a_key_of_its_own_is_known_again_by_what_the_cipher_keeps(name):
    ciphertexts = encrypted_each(name, CANDIDATES[RIGHT], 1)
    scores = by_statistics(ciphertexts, CANDIDATES, (PUBLIC, encrypted_each(name, PUBLIC, 2)))
    for kind in (KEEPS[name], KEEPS[name] + CORRELATED):
        assert share(ranked(scores[kind], RIGHT)) >= 0.95, kind
    assert share(best({kind: ranked(each, RIGHT) for kind, each in scores.items()})[1]) >= 0.95


def test_statistics_of_noise_tell_nothing():
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (200, 16, 16, 3), np.uint8)
    public = (PUBLIC, random.integers(0, 256, PUBLIC.shape, np.uint8))
    right = np.arange(200) % 100
    scores = by_statistics(noise, CANDIDATES, public)
    ranking = best({kind: ranked(each, right) for kind, each in scores.items()})[1]
    assert share(ranking) < 0.05


def test_noise_that_the_attacker_cannot_repeat_does_not_hide_a_negative():
    reduced = parse("noise=32").apply(CANDIDATES[RIGHT], SECRET)
    public = parse("noise=32").apply(PUBLIC, bytes(32))
    scores = by_statistics(
        encrypted_each("pbe", reduced, 1), CANDIDATES, (public, encrypted_each("pbe", public, 2))
    )
    assert share(ranked(scores["distances from middle grey" + CORRELATED], RIGHT)) > 0.8


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 3), (16, 16, 1), (8, 8, 5), (40, 56, 3), (224, 224, 3)])
def test_statistics_can_be_taken_of_any_shape_and_stay_small(shape):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    for each in fingerprints(shape):
        for features in (each.of_images(images), each.of_ciphertexts(images)):
            assert features.shape[0] == 3
            assert features[0].size <= 4096
            assert np.isfinite(features).all()
    scores = by_statistics(images[:2], images, (images, images))
    assert all(each.shape == (2, 3) for each in scores.values())
    for each in Candidates(images).correlations(images[:2]).values():
        assert each.shape == (2, 3)
