"""What the attacks on vit-block are made of: pairing, laying out blocks that lie alike, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lpe.transforms import attacks, ciphers
from lpe.transforms.attacks import Evidence, MisfitError, Target, alike, pairing
from tests.transforms.attacks.pictures import blobs


def test_the_cheapest_pairing_is_that_of_all_permutations():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cost = rng.normal(size=(6, 6))
        least = min(cost[np.arange(6), order].sum() for order in itertools.permutations(range(6)))
        assert cost[np.arange(6), pairing.cheapest(cost)].sum() == pytest.approx(least)


def test_blocks_that_lie_alike_are_laid_out_again():
    images = blobs(20, (16, 24, 3))
    square = images.reshape(20, 4, 4, 6, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(20, 24, 4, 4, 3)
    shuffled = np.random.default_rng(0).permutation(24)
    _, order = alike.assemble(square[:, shuffled], (4, 6))
    assert shuffled[order].tolist() == list(range(24))


@pytest.mark.parametrize("adversary", ["chosen-plaintext", "known-plaintext"])
def test_what_no_key_gives_is_refused(adversary):
    images = blobs(3, (8, 8, 3))
    target = Target("vit-block", ciphers.resolve_params("vit-block", {}), "dataset", (8, 8, 3))
    (attack,) = [attack for attack in attacks.against(target) if attack.adversary == adversary]
    evidence = Evidence(target, images, (images, images // 2), oracle=lambda chosen: chosen // 2)
    with pytest.raises(MisfitError, match="vit-block"):
        attack.learn(evidence)
