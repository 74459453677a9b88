"""Datasets as an attacker with ciphertexts alone restores them: the audit's best attack, on all images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.audit import attacking, experiment
from lpe.pipeline.audit.results import Reidentification
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.writer import new_version
from lpe.pipeline.encryption.batch_transforms import BatchFunction
from lpe.pipeline.jobs.spec import JobSpec
from lpe.pipeline.jobs.write import version_identity, write_version
from lpe.pipeline.sources.plan import open_plan
from lpe.pipeline.storage.documents import Fields, read_document
from lpe.transforms import attacks
from lpe.transforms.attacks import Adversary
from lpe.transforms.errors import DataError

_ADVERSARY: Adversary = "ciphertext-only"


@dataclasses.dataclass(frozen=True)
class BestAttack:
    """The best ciphertext-only attack on a dataset, measured on unseen images that it restored.

    Attributes:
      attack: its name; None where there is none, and the ciphertext itself is measured.
      images: ciphertexts that it had.
      psnr: peak signal-to-noise ratio in dB.
      ssim: structural similarity, at most 1.
      exact: fraction of bytes that are right.
      floor: PSNR of the mean colour.
      reidentification: how often ciphertexts alone name the right photograph; None where that was not measured.
    """

    attack: str | None
    images: int
    psnr: float
    ssim: float
    exact: float
    floor: float
    reidentification: Reidentification | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of the scheme's file in `attacks/`."""
        found = self.reidentification
        return {
            **dataclasses.asdict(self),
            "reidentification": found.to_json() if found is not None else None,
        }

    @classmethod
    def from_json(cls, value: Fields) -> BestAttack:
        """The inverse of `to_json`. Raises DataError if something is missing or damaged."""
        attack = value.optional_text("attack")
        if attack is not None and attack not in {known.name for known in attacks.all_attacks()}:
            value.refuse("there is no such attack")
        figures = {name: value.number(name) for name in ("psnr", "ssim", "exact", "floor")}
        found = None
        if value.has("reidentification"):  # which the first comparisons did not measure
            found = value.optional_object("reidentification")
        return cls(attack, value.integer("images"), **figures, reidentification=_reidentification(found))


def _reidentification(value: Fields | None) -> Reidentification | None:
    """The inverse of `Reidentification.to_json`. Raises DataError if something is missing or damaged."""
    if value is None:
        return None
    return Reidentification(
        value.number("first", 0, 1),
        value.number("median", 1),
        value.integer("candidates", 1),
        value.text("by"),
    )


def attack(dataset: Dataset, keystore: str, images: int, path: str, against: str | None = None) -> BestAttack:
    """Attacks a dataset in every way that needs ciphertexts alone; the result is kept at `path`.

    Args:
      dataset: the encrypted dataset.
      keystore: where its key is, to measure by; no attack is given it.
      images: ciphertexts sampled.
      path: a file that holds the result of an attack before, or will.
      against: the plain dataset with the images before they were reduced; None for one that was not.

    Raises:
      DataError: that file is damaged.
    """
    if storage.exists(path):
        return BestAttack.from_json(read_document(path, "delete it: the attack is made again"))
    setup = experiment.experiment_on_dataset(dataset.directory, keystore, images, against)
    scheme = attacking.run_attacks(setup, (_ADVERSARY,))
    best = scheme.best(_ADVERSARY)
    if best is not None and against is not None and best.quality.psnr < scheme.ciphertext.psnr:
        best = None  # reduced images are images, and may be nearer as they are
    quality = scheme.ciphertext if best is None else best.quality
    result = BestAttack(
        None if best is None else best.attack,
        0 if best is None else best.images,
        round(quality.psnr, 3),
        round(quality.ssim, 4),
        round(quality.exact, 5),
        round(scheme.floor.psnr, 3),
        scheme.reidentification,
    )
    storage.write_atomic(path, (json.dumps(result.to_json()) + "\n").encode())
    return result


def restore(spec: JobSpec, keystore: str, images: int, best: BestAttack) -> Dataset:
    """Writes the dataset that the attacker has after the attack.

    Args:
      spec: its input is the encrypted dataset.
      keystore: as for `attack`.
      images: as for `attack`, so that it is the same attack again.
      best: its result.
    """
    with open_plan(spec.read) as plan:
        assert plan.dataset is not None
        setup = experiment.experiment_on_dataset(plan.dataset.directory, keystore, images)
        chosen = next(
            (attack for attack in attacks.against(setup.target) if attack.name == best.attack), None
        )
        if chosen is None:
            raise DataError(
                f"{plan.dataset.directory}: no attack {best.attack} on it, as the work directory says; delete its "
                "attacks/ and run the same command again"
            )
        recovery = chosen.learn(setup.evidence(_ADVERSARY, best.images))
        settings = {"command": "restore", "attack": best.attack, "images": best.images}
        identity = version_identity(spec, plan, settings, class_names=plan.class_names, encrypted=False)
        # What an attack learnt is a function that other processes of this machine cannot be sent.
        alone = spec if spec.beam else dataclasses.replace(spec, processes=1)
        with new_version(spec.home, identity) as version:
            return write_version(alone, plan, version, restore=Restore(recovery.restore)).dataset


@dataclasses.dataclass(frozen=True)
class Restore:
    """The batch transform of an attack.

    Attributes:
      function: restores images, uint8 [N, H, W, C] -> the same.
    """

    function: Callable[[np.ndarray], np.ndarray]

    def open(self) -> BatchFunction:
        """The function on batches."""
        return lambda batch: batch.replace_images(self.function(batch.images))
