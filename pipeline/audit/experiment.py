"""Cryptanalytic experiments: images, what is released of them, and an oracle that encrypts more."""

from __future__ import annotations

import dataclasses
import math
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.batch_transforms import Decrypt
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.reduction import Reduce, open_chain
from lpe.pipeline.sources.plan import ReadSpec, open_plan, plan_dataset
from lpe.pipeline.sources.samples import examples, first_examples
from lpe.transforms import ciphers
from lpe.transforms.attacks.base import Adversary, Evidence, Oracle, Target
from lpe.transforms.batch import ImageBatch
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.ciphers.registry import scheme
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.keyed import KeyedCipher, Scope
from lpe.transforms.reductions import Chain

_HELD_OUT = 5
"""Every so many-th image is not attacked, but used to measure what was learnt."""
_FEWEST_IMAGES = 10
_KEYED_VALUES = 1 << 20
"""Bytes of images whose own keys are held at once, which take many times as much memory."""
_CANDIDATES = 1000
"""Photographs among which the right one is looked for, at most."""
_OTHERS_VALUES = 1 << 28
"""Bytes of photographs, at most, that are read to be candidates alone."""
_NOTHING = Chain()


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One encryption under audit.

    Attributes:
      target: what is public about it.
      plain: uint8 [N, H, W, C], the owner's images that adversaries may know.
      reduced: the same after the target's reduction, as they are encrypted; `plain` itself where there is none.
      encrypted: their ciphertexts, which are released.
      held_out: (plain, encrypted), uint8 [M, H, W, C] each: images that no adversary learns from.
      held_out_reduced: the same after the reduction.
      oracle: encrypts chosen images, of the shape of reduced ones; None with a key per image, where that tells nothing.
      others: uint8 [O, H, W, C], images like these of which nothing is released; there may be none.
    """

    target: Target
    plain: np.ndarray
    reduced: np.ndarray
    encrypted: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray]
    held_out_reduced: np.ndarray
    oracle: Oracle | None
    others: np.ndarray

    @property
    def images(self) -> int:
        """How many images there are in all."""
        return len(self.plain) + len(self.held_out[0])

    @property
    def candidates(self) -> np.ndarray:
        """Photographs among which the right one is looked for, uint8 [K, H, W, C]: first those held out."""
        return np.concatenate([self.held_out[0], self.others, self.plain])[:_CANDIDATES]

    def evidence(self, adversary: Adversary, count: int) -> Evidence:
        """What this adversary has when `count` images are to be had; all have public images."""
        known = (self.reduced[:count], self.encrypted[:count]) if adversary == "known-plaintext" else None
        oracle = self.oracle if adversary == "chosen-plaintext" else None
        return Evidence(self.target, self.encrypted[:count], known, oracle, self.plain)


def sample(read: ReadSpec, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` images of an input's largest split, and others after them, to be candidates alone.

    Returns:
      uint8 [N, H, W, C], and [O, H, W, C] of the same shape, of which there may be none.

    Raises:
      DataError: it is encrypted, its images differ in shape, or there are fewer than 10.
    """
    with open_plan(read) as plan:
        plan.require_plain("name the plain images, or the dataset as an argument")
        if plan.image_shape is None:
            raise DataError(f"{read.source}: its images differ in shape; choose --image-size HEIGHTxWIDTH")
        images = first_examples(plan, None, count + _others(count, plan.image_shape)).images
    images, others = images[:count], images[count:]
    if len(images) < _FEWEST_IMAGES:
        raise DataError(f"{read.source}: only {len(images)} images; an audit needs {_FEWEST_IMAGES} or more")
    return images, others


def _others(count: int, shape: ImageShape) -> int:
    """How many images, besides `count`, are read to be candidates."""
    _, held_out = attacked_and_held_out(count)
    return min(max(0, _CANDIDATES - held_out), _OTHERS_VALUES // math.prod(shape))


def experiment_on_scheme(
    images: np.ndarray,
    name: str,
    params: Mapping[str, str],
    scope: Scope,
    reduction: Chain = _NOTHING,
    others: np.ndarray | None = None,
) -> Experiment:
    """Images under a scheme with a fresh key (scope `dataset`), or a fresh key each (scope `image`).

    Args:
      images: uint8 [N, H, W, C].
      name: the scheme.
      params: its public parameters; those left out take their defaults.
      scope: what each key is for.
      reduction: what is done to the images before they are encrypted.
      others: uint8 [O, H, W, C], images like these of which nothing is released; None for none.

    Raises:
      CipherError: an unknown scheme or parameter, or a shape that the scheme does not admit.
      UsageError: images of this shape cannot be reduced so.
    """
    others = images[:0] if others is None else others
    target = target_on_scheme(image_shape_of(images), name, params, scope, reduction)
    reduced = reduction.apply(images, secrets.token_bytes(SECRET_BYTES))
    if scope == "dataset":
        cipher = fresh_cipher(target, len(images))
        return _experiment(target, images, reduced, cipher.encrypt(reduced), cipher.encrypt, others)
    return _experiment(target, images, reduced, encrypt_each(target, reduced), None, others)


def encrypt_each(target: Target, reduced: np.ndarray) -> np.ndarray:
    """The ciphertexts of images under the target's scheme with a fresh key each, whatever the target's scope."""
    target = dataclasses.replace(target, scope="image")
    encrypted = np.empty_like(reduced)
    few = max(1, _KEYED_VALUES // reduced[0].size)
    for at in range(0, len(reduced), few):
        part = reduced[at : at + few]
        encrypted[at : at + few] = fresh_cipher(target, len(part)).encrypt(part)
    return encrypted


def target_on_scheme(
    image_shape: ImageShape, name: str, params: Mapping[str, str], scope: Scope, reduction: Chain = _NOTHING
) -> Target:
    """What an experiment on images of this shape attacks; arguments and errors as of `experiment_on_scheme`."""
    resolved = ciphers.resolve_params(name, params)
    reduced_shape = reduction.reduced_shape(image_shape)
    scheme(name).check_shape(reduced_shape, resolved)
    return Target(name, resolved, scope, reduced_shape, reduction, image_shape)


def fresh_cipher(target: Target, count: int) -> ciphers.Cipher:
    """The target's scheme under a new key for all images, or with scope `image` a new one for each of `count`."""
    settings: dict[str, Any] = dict(target.params)
    if target.scope == "dataset":
        settings["secret"] = secrets.token_bytes(SECRET_BYTES)
    else:
        settings["secrets"] = [secrets.token_bytes(SECRET_BYTES) for _ in range(count)]
    return ciphers.create(target.cipher, image_shape=target.image_shape, **settings)


def experiment_on_dataset(
    directory: str, keystore: str, count: int, against: str | None = None
) -> Experiment:
    """The owner's own encrypted dataset, decrypted to measure by.

    Args:
      directory: a dataset's home or one of its versions.
      keystore: where its key is.
      count: how many images of its largest split to take.
      against: the plain dataset that it was made from, for one that was reduced: decrypting does not give that back.

    Raises:
      DataError: it is not encrypted, is sealed, or its images differ in shape; or it was reduced and `against` is
        missing or has other images.
      KeyStoreError: its key cannot be had.
      UsageError: `against` for a dataset that was not reduced.
    """
    data = open_dataset(directory)
    encryption = Encryption.of(data, "name plain images with --source", where=directory)
    data.check_open()
    if data.image_shape is None:
        raise DataError(f"{directory}: its images differ in shape; an audit needs images of one shape")
    if against is not None and encryption.reduction is None:
        raise UsageError(
            f"{directory}: was not reduced, so that its key tells the images; leave out --against"
        )
    key = open_dataset_key(data, encryption, keystore)
    shape = (encryption.reduction and encryption.reduction.image_shape) or data.image_shape
    batch = first_examples(plan_dataset(data), None, count + _others(count, shape))
    reduced = Decrypt(keystore, encryption, len(data.class_names)).open()(batch)
    spec = encryption.spec
    plain, chain = reduced.images, _NOTHING
    if encryption.reduction is not None:
        if against is None:
            raise DataError(
                f"{directory}: was reduced by {encryption.reduction.steps}, which cannot be undone; name the plain "
                "dataset that it was made from with --against"
            )
        chain = open_chain(encryption.reduction, key, spec.salt, keystore)
        plain = _originals(against, reduced, encryption.reduction.open(key, spec.salt, keystore), shape)
    target = Target(spec.name, spec.params, spec.scope, data.image_shape, chain, shape)
    oracle: Oracle | None = None
    if spec.scope == "dataset":
        oracle = _KeyedOracle(KeyedCipher(spec, key))
    return _experiment(
        target, plain[:count], reduced.images[:count], batch.images[:count], oracle, plain[count:]
    )


def _originals(directory: str, reduced: ImageBatch, reduce: Reduce, shape: ImageShape) -> np.ndarray:
    """The images of a plain dataset that these were reduced from, in the same order.

    Raises:
      DataError: it does not have them.
    """
    plan = plan_dataset(open_dataset(directory))
    plan.require_plain("name the plain dataset with --against")
    plain = dict.fromkeys(reduced.ids, np.zeros(0, np.uint8))
    missing = set(reduced.ids)
    for split in plan.splits:
        for example in examples(plan, split) if missing else ():
            (name,) = example.ids
            if name in missing and example.images.shape[1:] == shape:
                plain[name] = example.images[0]
                missing.remove(name)
                if not missing:
                    break
    images = np.stack([plain[name] for name in reduced.ids]) if not missing else np.zeros(0, np.uint8)
    if missing or not np.array_equal(reduce(images), reduced.images):
        raise DataError(
            f"{directory}: not the images that the reduced ones were made from; name that dataset with --against"
        )
    return images


@dataclasses.dataclass(frozen=True)
class _KeyedOracle:
    """Encrypts whatever it is asked to, as the owner's encryption service would."""

    cipher: KeyedCipher

    def __call__(self, images: np.ndarray) -> np.ndarray:
        ids = [f"chosen-{i}" for i in range(len(images))]
        return self.cipher.encrypt(ImageBatch(ids, images, np.zeros(len(images), np.int64))).images


def _experiment(
    target: Target,
    plain: np.ndarray,
    reduced: np.ndarray,
    encrypted: np.ndarray,
    oracle: Oracle | None,
    others: np.ndarray,
) -> Experiment:
    out = _held_out(len(plain))
    return Experiment(
        target,
        plain[~out],
        reduced[~out],
        encrypted[~out],
        (plain[out], encrypted[out]),
        reduced[out],
        oracle,
        others,
    )


def _held_out(images: int) -> np.ndarray:
    return np.asarray(np.arange(images) % _HELD_OUT == _HELD_OUT - 1)


def attacked_and_held_out(images: int) -> tuple[int, int]:
    """How many of so many images adversaries learn from, and how many are kept from them."""
    held_out = int(_held_out(images).sum())
    return images - held_out, held_out
