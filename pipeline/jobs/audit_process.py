"""The attacks on one encryption, in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lpe.pipeline.audit.attacking import run_attacks
from lpe.pipeline.audit.experiment import experiment_on_scheme
from lpe.pipeline.audit.results import SchemeAudit
from lpe.pipeline.jobs.side_by_side import Listener
from lpe.transforms.attacks import Adversary
from lpe.transforms.keyed import Scope
from lpe.transforms.reductions import Chain


def attack_scheme(
    images: np.ndarray,
    others: np.ndarray,
    name: str,
    params: Mapping[str, str],
    scope: Scope,
    reduction: Chain,
    adversaries: Sequence[Adversary],
    listener: Listener,
) -> SchemeAudit:
    """Reduces images, encrypts them with a fresh key, which does not leave this process, and attacks them."""
    listener.status("encrypting")
    setup = experiment_on_scheme(images, name, params, scope, reduction, others)
    return run_attacks(setup, adversaries, note=listener.note, status=listener.status)
