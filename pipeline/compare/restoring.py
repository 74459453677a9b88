"""The images as an attacker with ciphertexts alone restores them: the audit's best attack, on the whole dataset."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.audit import attacking, scene
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.writer import new_version
from lpe.pipeline.encryption.batch_transforms import BatchFunction
from lpe.pipeline.jobs.spec import JobSpec
from lpe.pipeline.jobs.write import version_identity, write_version
from lpe.pipeline.sources.plan import open_plan
from lpe.transforms import attacks

_ADVERSARY = "ciphertext-only"


@dataclasses.dataclass(frozen=True)
class Breach:
    """What the best ciphertext-only attack came to on a dataset.

    Attributes:
      attack: its name; None where there is none.
      images: ciphertexts that it had.
      psnr, ssim, exact: of unseen images that it restored (or of the ciphertext itself, where no attack is better).
      floor: PSNR of the mean colour.
    """

    attack: str | None
    images: int
    psnr: float
    ssim: float
    exact: float
    floor: float

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def attack(dataset: Dataset, keystore: str, images: int, path: str) -> Breach:
    """Attacks a dataset in every way that needs ciphertexts alone; what came of it is kept at `path`.

    Args:
      keystore: tells what is true, to measure by; no attack is given it.
      images: ciphertexts sampled.
    """
    if storage.exists(path):
        return Breach(**json.loads(storage.read_bytes(path)))
    setting = scene.scene_of_dataset(dataset.directory, keystore, images)
    found = attacking.audit(setting, (_ADVERSARY,), None)
    best = found.best(_ADVERSARY)
    quality = found.ciphertext if best is None else best.quality
    breach = Breach(
        None if best is None else best.attack,
        0 if best is None else best.images,
        round(quality.psnr, 3),
        round(quality.ssim, 4),
        round(quality.exact, 5),
        round(found.floor.psnr, 3),
    )
    storage.write_atomic(path, (json.dumps(breach.to_json()) + "\n").encode())
    return breach


def restore(spec: JobSpec, keystore: str, images: int, breach: Breach) -> Dataset:
    """Writes the dataset that the attacker has after the attack.

    Args:
      spec: its input is the encrypted dataset.
      keystore, images, breach: as for and from `attack`, so that it is the same attack again.
    """
    with open_plan(spec.read) as source:
        assert source.dataset is not None
        setting = scene.scene_of_dataset(source.dataset.directory, keystore, images)
        chosen = next(each for each in attacks.against(setting.target) if each.name == breach.attack)
        recovery = chosen.learn(setting.evidence(_ADVERSARY, breach.images))
        settings = {"command": "restore", "attack": breach.attack, "images": breach.images}
        identity = version_identity(spec, source, settings, class_names=source.class_names, encrypted=False)
        with new_version(spec.home, identity) as version:
            return write_version(spec, source, version, restore=Restore(recovery.restore)).dataset


@dataclasses.dataclass(frozen=True)
class Restore:
    """A stage: what an attack makes of ciphertexts, uint8 [N, H, W, C] -> the same."""

    function: Callable[[np.ndarray], np.ndarray]

    def open(self) -> BatchFunction:
        return lambda batch: batch.replace_images(self.function(batch.images))
