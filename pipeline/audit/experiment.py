"""Cryptanalytic experiments: images, their ciphertexts, and an oracle that encrypts more."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.batch_transforms import Decrypt
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.sources.plan import ReadSpec, open_plan, plan_dataset
from lpe.pipeline.sources.samples import first_examples
from lpe.transforms import ciphers
from lpe.transforms.attacks.base import Adversary, Evidence, Oracle, Target
from lpe.transforms.batch import ImageBatch
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.ciphers.registry import scheme
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.keyed import KeyedCipher, Scope

_HELD_OUT = 5
"""Every so many-th image is not attacked, but used to measure what was learnt."""
_FEWEST_IMAGES = 10
_KEYED_VALUES = 1 << 20
"""Bytes of images whose own keys are held at once, which take many times as much memory."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One encryption under audit.

    Attributes:
      target: what is public about it.
      plain: uint8 [N, H, W, C], the owner's images that adversaries may know.
      encrypted: their ciphertexts.
      held_out: (plain, encrypted), uint8 [M, H, W, C] each: images that no adversary learns from.
      oracle: encrypts chosen images; None with a key per image, where that tells nothing.
    """

    target: Target
    plain: np.ndarray
    encrypted: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray]
    oracle: Oracle | None

    @property
    def images(self) -> int:
        """How many images there are in all."""
        return len(self.plain) + len(self.held_out[0])

    def evidence(self, adversary: Adversary, count: int) -> Evidence:
        """What this adversary has when `count` images are to be had."""
        known = (self.plain[:count], self.encrypted[:count]) if adversary == "known-plaintext" else None
        oracle = self.oracle if adversary == "chosen-plaintext" else None
        return Evidence(self.target, self.encrypted[:count], known, oracle)


def sample(read: ReadSpec, count: int) -> np.ndarray:
    """The first `count` images of an input's largest split, uint8 [N, H, W, C].

    Raises:
      DataError: it is encrypted, its images differ in shape, or there are fewer than 10.
    """
    with open_plan(read) as plan:
        plan.require_plain("name the plain images, or the dataset as an argument")
        if plan.image_shape is None:
            raise DataError(f"{read.source}: its images differ in shape; choose --image-size HEIGHTxWIDTH")
        images = first_examples(plan, None, count).images
    if len(images) < _FEWEST_IMAGES:
        raise DataError(f"{read.source}: only {len(images)} images; an audit needs {_FEWEST_IMAGES} or more")
    return images


def experiment_on_scheme(
    images: np.ndarray, name: str, params: Mapping[str, str], scope: Scope
) -> Experiment:
    """Images under a scheme with a fresh key (scope `dataset`), or a fresh key each (scope `image`).

    Args:
      images: uint8 [N, H, W, C].
      name: the scheme.
      params: its public parameters; those left out take their defaults.
      scope: what each key is for.

    Raises:
      CipherError: an unknown scheme or parameter, or a shape that the scheme does not admit.
    """
    target = target_on_scheme(image_shape_of(images), name, params, scope)
    if scope == "dataset":
        cipher = fresh_cipher(target, len(images))
        return _experiment(target, images, cipher.encrypt(images), cipher.encrypt)
    encrypted = np.empty_like(images)
    few = max(1, _KEYED_VALUES // images[0].size)
    for at in range(0, len(images), few):
        part = images[at : at + few]
        encrypted[at : at + few] = fresh_cipher(target, len(part)).encrypt(part)
    return _experiment(target, images, encrypted, None)


def target_on_scheme(image_shape: ImageShape, name: str, params: Mapping[str, str], scope: Scope) -> Target:
    """What an experiment on images of this shape attacks; arguments and errors as of `experiment_on_scheme`."""
    resolved = ciphers.resolve_params(name, params)
    scheme(name).check_shape(image_shape, resolved)
    return Target(name, resolved, scope, image_shape)


def fresh_cipher(target: Target, count: int) -> ciphers.Cipher:
    """The target's scheme under a new key for all images, or with scope `image` a new one for each of `count`."""
    settings: dict[str, Any] = dict(target.params)
    if target.scope == "dataset":
        settings["secret"] = secrets.token_bytes(SECRET_BYTES)
    else:
        settings["secrets"] = [secrets.token_bytes(SECRET_BYTES) for _ in range(count)]
    return ciphers.create(target.cipher, image_shape=target.image_shape, **settings)


def experiment_on_dataset(directory: str, keystore: str, count: int) -> Experiment:
    """The owner's own encrypted dataset, decrypted to measure by.

    Args:
      directory: a dataset's home or one of its versions.
      keystore: where its key is.
      count: how many images of its largest split to take.

    Raises:
      DataError: it is not encrypted, is sealed, or its images differ in shape.
      KeyStoreError: its key cannot be had.
    """
    data = open_dataset(directory)
    encryption = Encryption.of(data, "name plain images with --source", where=directory)
    data.check_open()
    if data.image_shape is None:
        raise DataError(f"{directory}: its images differ in shape; an audit needs images of one shape")
    key = open_dataset_key(data, encryption, keystore)
    batch = first_examples(plan_dataset(data), None, count)
    plain = Decrypt(keystore, encryption, len(data.class_names)).open()(batch).images
    spec = encryption.spec
    target = Target(spec.name, spec.params, spec.scope, data.image_shape)
    oracle: Oracle | None = None
    if spec.scope == "dataset":
        oracle = _KeyedOracle(KeyedCipher(spec, key))
    return _experiment(target, plain, batch.images, oracle)


@dataclasses.dataclass(frozen=True)
class _KeyedOracle:
    """Encrypts whatever it is asked to, as the owner's encryption service would."""

    cipher: KeyedCipher

    def __call__(self, images: np.ndarray) -> np.ndarray:
        ids = [f"chosen-{i}" for i in range(len(images))]
        return self.cipher.encrypt(ImageBatch(ids, images, np.zeros(len(images), np.int64))).images


def _experiment(
    target: Target, plain: np.ndarray, encrypted: np.ndarray, oracle: Oracle | None
) -> Experiment:
    held_out = _held_out(len(plain))
    return Experiment(
        target, plain[~held_out], encrypted[~held_out], (plain[held_out], encrypted[held_out]), oracle
    )


def _held_out(images: int) -> np.ndarray:
    return np.asarray(np.arange(images) % _HELD_OUT == _HELD_OUT - 1)


def attacked_and_held_out(images: int) -> tuple[int, int]:
    """How many of so many images adversaries learn from, and how many are kept from them."""
    held_out = int(_held_out(images).sum())
    return images - held_out, held_out
