"""Datasets under a pool of keys: round trips, re-encryption, an audit, and what does not go together."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.sources.plan import plan_dataset
from lpe.pipeline.sources.samples import first_examples
from tests.pipeline.running import contents, encrypt, files, refused

POOL = ("--cipher", "pbe", "--param", "pool=8")


@pytest.fixture
def home(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    assert encrypt(lpe, keystore, f"dataset:{plain}", home, *POOL).code == 0
    return home


def masks(directory, plain):
    """How many masks its images have."""
    encrypted, original = (
        first_examples(plan_dataset(open_dataset(str(each))), "train", 100) for each in (directory, plain)
    )
    assert encrypted.ids == original.ids
    return len(np.unique(encrypted.images ^ original.images, axis=0))


def test_a_round_trip(lpe, keystore, home, plain, tmp_path):
    assert open_dataset(str(home)).encryption["params"] == {"colour": "false", "pool": "8"}
    assert masks(home, plain) == 8
    back = tmp_path / "back" / "shapes"
    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore).code == 0
    assert contents(back) == contents(plain)
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0


def test_a_pool_can_be_given_up_and_taken_again(lpe, keystore, home, plain):
    words = ("reencrypt", home, "--keystore", keystore)
    for pool, keys in ((1, 1), (2, 2)):
        assert lpe(*words, "--param", f"pool={pool}").code == 0
        assert masks(home, plain) == keys


def test_a_pool_of_one_key_is_no_pool(lpe, keystore, plain, tmp_path):
    for name, params in (("a", ()), ("b", ("--param", "pool=1"))):
        assert (
            encrypt(
                lpe, keystore, f"dataset:{plain}", tmp_path / name / "shapes", "--cipher", "pbe", *params
            ).code
            == 0
        )
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_pool_and_a_key_for_each_image_are_refused(lpe, keystore, home, plain, tmp_path):
    message = "pbe: a pool of 8 keys is the dataset's; choose it or scope image, not both"
    made = tmp_path / "made" / "shapes"
    words = ("encrypt", "--source", f"dataset:{plain}", "--output", made, *POOL, "--scope", "image")
    refused(lpe(*words, "--keystore", keystore, "--key", "patients"), message, code=2)
    assert not made.exists()
    refused(lpe("reencrypt", home, "--keystore", keystore, "--scope", "image"), message, code=2)
    words = (
        "audit",
        "--source",
        f"dataset:{plain}",
        *POOL,
        "--scope",
        "image",
        "--output",
        tmp_path / "audit",
    )
    refused(lpe(*words), message, code=2)


def test_audits_of_a_scheme_and_of_a_dataset(lpe, keystore, home, plain, tmp_path):
    for words in (("--source", f"dataset:{plain}", *POOL), (home, "--keystore", keystore)):
        made = lpe("audit", *words, "--images", 90, "--output", tmp_path / "audit", "--json")
        (scheme,) = made.json["schemes"]
        assert scheme["params"] == {"colour": "false", "pool": "8"}
        names = [attack["name"] for attack in scheme["attacks"]]
        assert names == ["key-pool", "known-key-pool", "chosen-key-pool"]
        assert scheme["attacks"][-1]["exact"] == 1
