"""Every scheme passes the tests that `lpe` offers for schemes, and a faulty one does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis.errors import Flaky

from lpe.transforms import ciphers
from lpe.transforms.ciphers import registry
from lpe.transforms.ciphers.conformance import CipherTests
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.ciphers.pbe import Key, Pbe

for _name in ciphers.names():
    globals()[f"Test{_name.title()}"] = type(f"Test{_name.title()}", (CipherTests,), {"name": _name})


class LosesTheLowestBit(Pbe):
    def _encrypt(self, images, out, keys):
        super()._encrypt(images & 254, out, keys)


class ChangesItsArgument(Pbe):
    def _encrypt(self, images, out, keys):
        super()._encrypt(images, out, keys)
        images[...] = 0

    def _decrypt(self, images, out, keys):
        super()._decrypt(images, out, keys)


class DrawsItsKeys(Pbe):
    @classmethod
    def derive_keys(cls, secrets, image_shape, params):
        masks = np.random.default_rng().integers(0, 2, (len(secrets), *image_shape))
        return [Key(mask) for mask in masks]


class HasOneKey(Pbe):
    @classmethod
    def derive_keys(cls, secrets, image_shape, params):
        return super().derive_keys([bytes(32) for _ in secrets], image_shape, params)


class UsesTheFirstKey(Pbe):
    def _encrypt(self, images, out, keys):
        super()._encrypt(images, out, slice(0, 1))

    def _decrypt(self, images, out, keys):
        super()._decrypt(images, out, slice(0, 1))


class CountsImages(Pbe):
    def _encrypt(self, images, out, keys):
        super()._encrypt(images + np.arange(len(images), dtype=np.uint8)[:, None], out, keys)

    def _decrypt(self, images, out, keys):
        super()._decrypt(images, out, keys)
        out -= np.arange(len(images), dtype=np.uint8)[:, None]


@dataclasses.dataclass
class OpenKey:
    mask: np.ndarray
    colour: np.ndarray | None = None


class ShowsItsKey(Pbe):
    @classmethod
    def derive_keys(cls, secrets, image_shape, params):
        size = int(np.prod(image_shape))
        return [OpenKey(FieldStream(secret, "mask").bits(size).reshape(image_shape)) for secret in secrets]


class TakesAnySecret(Pbe):
    @classmethod
    def derive_keys(cls, secrets, image_shape, params):
        return super().derive_keys([secret.ljust(32)[:32] for secret in secrets], image_shape, params)


class SaysNothing(Pbe):
    broken_by = "?"


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (LosesTheLowestBit, "decrypt_inverts_encrypt_for_any_shape_key_and_parameters"),
        (ChangesItsArgument, "decrypt_inverts_encrypt_for_any_shape_key_and_parameters"),
        (DrawsItsKeys, "a_secret_its_key_and_the_secret_again_are_one_cipher"),
        (HasOneKey, "another_secret_is_another_cipher"),
        (UsesTheFirstKey, "one_secret_per_image_equals_that_secret_alone"),
        (CountsImages, "an_image_does_not_depend_on_its_neighbours"),
        (ShowsItsKey, "key_material_is_neither_pickled_nor_shown"),
        (TakesAnySecret, "a_secret_of_another_length_is_refused"),
        (SaysNothing, "it_describes_itself"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_is_found(made, test, monkeypatch):
    # Without the channel shuffle, which the faulty ones leave out.
    monkeypatch.setattr(made, "default_params", classmethod(lambda cls: {"colour": ("false",)}))
    monkeypatch.setattr(registry, "_registered", {"faulty": made})
    tests = type("Faulty", (CipherTests,), {"name": "faulty"})()
    # Keys that are drawn anew fail differently each time.
    with pytest.raises((AssertionError, Flaky, pytest.fail.Exception)):
        getattr(tests, f"test_{test}")()
