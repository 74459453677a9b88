"""Verdicts: each threshold, and that nothing is ever called secure."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.pipeline.audit.quality import Quality
from lpe.pipeline.audit.results import AttackResult, SchemeAudit
from lpe.pipeline.audit.verdict import verdict
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
