"""Verdicts: each threshold, and that nothing is ever called secure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lpe.pipeline.audit.quality import Quality
from lpe.pipeline.audit.results import AttackResult, Reidentification, SchemeAudit
from lpe.pipeline.audit.verdict import verdict
from lpe.transforms import reductions
from lpe.transforms.attacks import Adversary, Target


def scheme_audit(
    psnr: float, ssim: float, exact: float, adversary: Adversary = "ciphertext-only"
) -> SchemeAudit:
    quality = Quality(1.0, psnr, ssim, exact)
    nothing = np.zeros((1, 4, 4, 3), np.uint8)
    result = AttackResult("x", adversary, 10, 1.0, quality, ((10, quality),), nothing)
    target = Target("lpe-100", {"chain": "raster", "channels": "shared"}, "dataset", (4, 4, 3))
    low = Quality(60.0, 12.0, 0.2, 0.01)
    return SchemeAudit(target, (result,), low, low, nothing, nothing)


@pytest.mark.parametrize(
    ("scheme", "beginning"),
    [
        (scheme_audit(100.0, 1.0, 1.0), "Broken from ciphertexts alone with 10 images, in 1.0 s: every byte"),
        (scheme_audit(31.0, 0.95, 0.2), "Broken from ciphertexts alone"),
        (scheme_audit(20.0, 0.8, 0.2), "Partly broken"),
        (scheme_audit(20.0, 0.3, 0.2), "Not broken by these attacks."),
        (scheme_audit(13.0, 0.9, 0.2), "Not broken by these attacks."),
        (scheme_audit(12.0, 0.2, 0.01), "Not broken by these attacks."),
        (scheme_audit(100.0, 1.0, 1.0, "chosen-plaintext"), "Broken with 10 chosen images"),
        (scheme_audit(20.0, 0.8, 0.2, "chosen-plaintext"), "Not broken by these attacks."),
    ],
)
def test_verdicts(scheme, beginning):
    assert verdict(scheme).startswith(beginning)
    assert scheme.to_json()["verdict"] == scheme.verdict == verdict(scheme)


@pytest.mark.parametrize(
    ("first", "median", "by", "sentence"),
    [
        (
            0.98,
            1,
            "lowest bits",
            "names the right one in 98% of cases (floor 0.1%), by its lowest bits.",
        ),
        (1.0, 1, "the image as it is", "100% of cases (floor 0.1%), by comparing the image as it is."),
        (0.97, 1, "x", "97% of cases (floor 0.1%), by what x restores, which has 10 ciphertexts."),
        (
            0.04,
            35,
            "histogram",
            "4% of cases (floor 0.1%), by its histogram; in half of all cases it is among the first 35.",
        ),
    ],
)
def test_the_sentence_on_photographs(first, median, by, sentence):
    scheme = dataclasses.replace(
        scheme_audit(12.0, 0.2, 0.01), reidentification=Reidentification(first, median, 1000, by)
    )
    assert verdict(scheme).startswith("Not broken by these attacks. Who holds 1,000 photographs and one")
    assert verdict(scheme).endswith(sentence)


def test_without_a_key_only_reduced_images_are_worth_a_sentence():
    found = Reidentification(1.0, 1, 1000, "the image as it is")
    scheme = dataclasses.replace(scheme_audit(12.0, 0.2, 0.01), reidentification=found)
    plain = Target("plain", {}, "dataset", (4, 4, 3))
    assert verdict(dataclasses.replace(scheme, target=plain)) == (
        "No encryption: the images are there for all to see."
    )
    reduced = dataclasses.replace(plain, reduction=reductions.parse("thumbnail=4"))
    said = verdict(dataclasses.replace(scheme, target=reduced))
    assert said.startswith(
        "No encryption: what thumbnail=4 leaves of the images is there for all to see, at 12.0 dB"
    )
    assert "Who holds 1,000 photographs and one released image names the right one in 100% of cases" in said


def test_to_restore_all_that_a_reduction_left_is_to_break_the_encryption():
    quality = Quality(20.0, 19.0, 0.6, 0.05, exact_reduced=1.0)
    scheme = scheme_audit(19.0, 0.6, 0.05)
    result = dataclasses.replace(scheme.results[0], quality=quality, curve=((10, quality),))
    assert verdict(dataclasses.replace(scheme, results=(result,))) == (
        "Broken from ciphertexts alone with 10 images, in 1.0 s: all that is left of unseen images, which are seen at "
        "19.0 dB, SSIM 0.60."
    )
