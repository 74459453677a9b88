"""The tests that a scheme must pass, as a class for pytest; they need pytest and Hypothesis.

    from lpe.transforms.ciphers.conformance import CipherTests

    class TestMine(CipherTests):
        name = "my-scheme"

They hold a scheme to what `lpe` relies on, whatever its formulas are. None of them says anything about how well it
protects: write an attack for that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from lpe.transforms import ciphers
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.errors import CipherError, UsageError
from lpe.transforms.image_shape import ImageShape

try:
    import pytest
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise UsageError(f"the tests of a scheme need {error.name}: pip install pytest hypothesis") from error

_SIDES, _CHANNELS = (*range(1, 13), 16, 32, 64), (1, 2, 3, 4)
_secrets = st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)
_tried = settings(
    max_examples=30,
    deadline=None,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # what is drawn is small already
    # The methods belong to several classes, one a scheme, which Hypothesis takes for a mistake.
    suppress_health_check=[HealthCheck.differing_executors],
)


class CipherTests:
    """Tests of one scheme; a subclass names it. Shapes that the scheme admits are found by asking it.

    Attributes:
      name: what the scheme is registered as.
      sides: heights and widths that are tried.
      channels: numbers of channels that are tried.
    """

    name: ClassVar[str]
    sides: ClassVar[tuple[int, ...]] = _SIDES
    channels: ClassVar[tuple[int, ...]] = _CHANNELS

    @_tried
    @given(st.data(), _secrets)
    def test_decrypt_inverts_encrypt_for_any_shape_key_and_parameters(
        self, data: st.DataObject, secret: bytes
    ) -> None:
        """Both ways: an encryption that loses nothing reaches every ciphertext."""
        params = self._drawn_params(data)
        shape = data.draw(st.sampled_from(self._shapes(params)))
        images = _images(data.draw(st.integers(0, 4)), shape, data.draw(st.integers(0, 2**32 - 1)))
        cipher = self._create(shape, params, secret=secret)
        before = images.copy()
        encrypted = cipher.encrypt(images)
        assert encrypted.shape == images.shape
        assert encrypted.dtype == np.uint8
        assert not np.shares_memory(encrypted, images)
        assert np.array_equal(cipher.decrypt(encrypted), images)
        assert np.array_equal(cipher.encrypt(cipher.decrypt(images)), images)
        assert np.array_equal(images, before), "the argument was changed"

    @_tried
    @given(st.data(), _secrets)
    def test_a_secret_its_key_and_the_secret_again_are_one_cipher(
        self, data: st.DataObject, secret: bytes
    ) -> None:
        """Key material follows from the secret alone, and is all that a cipher needs."""
        params = self._drawn_params(data)
        shape = data.draw(st.sampled_from(self._shapes(params)))
        images = _images(2, shape, 0)
        (key,) = ciphers.scheme(self.name).derive_keys([secret], shape, params)
        made = [
            self._create(shape, params, **given)
            for given in ({"secret": secret}, {"secret": secret}, {"key": key})
        ]
        first, *others = [cipher.encrypt(images) for cipher in made]
        assert all(np.array_equal(first, other) for other in others)

    @_tried
    @given(st.data(), st.lists(_secrets, min_size=2, max_size=2, unique=True))
    def test_another_secret_is_another_cipher(self, data: st.DataObject, secrets: list[bytes]) -> None:
        """Shown on random bytes, of an image that is large enough to tell keys apart."""
        params = self._drawn_params(data)
        shape = self._large_shape(params)
        self._skip_without_key(shape, params)
        images = _images(1, shape, 0)
        one, other = (self._create(shape, params, secret=secret) for secret in secrets)
        assert not np.array_equal(one.encrypt(images), other.encrypt(images))
        assert not np.array_equal(other.decrypt(one.encrypt(images)), images)

    def test_an_image_does_not_depend_on_its_neighbours(self) -> None:
        """Nor on how many there are: more than are worked on in one piece."""
        params = self._params()
        shape = self._large_shape(params)
        images = _images(max(20, 2**19 // math.prod(shape)), shape, 1)
        cipher = self._create(shape, params, secret=_secret(1))
        encrypted = cipher.encrypt(images)
        for i in (0, 1, len(images) // 2, len(images) - 1):
            assert np.array_equal(cipher.encrypt(images[i : i + 1])[0], encrypted[i])
        assert np.array_equal(cipher.encrypt(images[::-1]), encrypted[::-1])

    def test_one_secret_per_image_equals_that_secret_alone(self) -> None:
        """With as many images as take more than one piece of work."""
        params = self._params()
        shape = self._large_shape(params)
        images = _images(max(5, 2**18 // math.prod(shape) + 2), shape, 2)
        each = [_secret(i) for i in range(len(images))]
        together = self._create(shape, params, secrets=each)
        encrypted = together.encrypt(images)
        for i in (0, 1, len(images) // 2, len(images) - 1):
            alone = self._create(shape, params, secret=each[i])
            assert np.array_equal(encrypted[i], alone.encrypt(images[i : i + 1])[0])
        assert np.array_equal(together.decrypt(encrypted), images)
        self._skip_without_key(shape, params)
        same = together.encrypt(np.repeat(images[:1], len(images), axis=0))
        assert len({image.tobytes() for image in same}) == len(images)

    def test_images_may_be_a_strided_view(self) -> None:
        """Every other image, say, and columns cut out of wider ones."""
        params = self._params()
        shape = self._large_shape(params)
        images = _images(6, (shape[0], shape[1] + 3, shape[2]), 3)[::2, :, 2 : 2 + shape[1]]
        cipher = self._create(shape, params, secret=_secret(3))
        assert np.array_equal(cipher.encrypt(images), cipher.encrypt(np.ascontiguousarray(images)))

    def test_parameters_are_public_and_checked(self) -> None:
        """All values that it names are taken, and no others."""
        made = ciphers.scheme(self.name)
        defaults = {param: values[0] for param, values in made.default_params().items()}
        recorded = {param: value for param, value in defaults.items() if param not in made.later_params}
        assert ciphers.resolve_params(self.name, {}) == recorded
        for param, values in made.default_params().items():
            for value in values:
                params = self._params(**{param: value})
                made_with = self._create(self._large_shape(params), params, secrets=[_secret(0)])
                assert made_with.params == params
            with pytest.raises(CipherError):
                ciphers.resolve_params(self.name, {param: "no-such-value"})
        with pytest.raises(CipherError):
            ciphers.resolve_params(self.name, {"no-such-parameter": "true"})

    def test_a_secret_of_another_length_is_refused(self) -> None:
        """It is no secret of `lpe`."""
        params = self._params()
        shape = self._large_shape(params)
        self._skip_without_key(shape, params)
        for length in (0, SECRET_BYTES - 1, SECRET_BYTES + 1):
            with pytest.raises(CipherError):
                self._create(shape, params, secret=bytes(length))

    def test_key_material_is_neither_pickled_nor_shown(self) -> None:
        """A pipeline's graph is pickled and logged, and may hold no key."""
        params = self._params()
        shape = self._large_shape(params)
        self._skip_without_key(shape, params)
        (key,) = ciphers.scheme(self.name).derive_keys([_secret(4)], shape, params)
        cipher = self._create(shape, params, key=key)
        for thing in (cipher, key):
            with pytest.raises(TypeError, match="pickled"):
                pickle.dumps(thing)
        shown = repr(cipher) + repr(key) + str(cipher) + str(key)
        for value in _fields(key):
            assert value is None or (str(value) not in shown and repr(value) not in shown)

    def test_it_describes_itself(self) -> None:
        """In words for `lpe ciphers`, and by the size of its key space."""
        made = ciphers.scheme(self.name)
        assert all(len(text) > 5 for text in (made.source, made.keyed, made.demands, made.broken_by))
        params = self._params()
        bits = made.key_bits(self.name, self._large_shape(params), params)
        assert math.isfinite(bits)
        assert bits >= 0

    def _create(self, shape: ImageShape, params: Mapping[str, Any], **keys: Any) -> ciphers.Cipher:
        return ciphers.create(self.name, image_shape=shape, **keys, **params)

    def _params(self, **given: str) -> dict[str, str]:
        return ciphers.resolve_params(self.name, given)

    def _drawn_params(self, data: st.DataObject) -> dict[str, str]:
        made = ciphers.scheme(self.name)
        choices = made.default_params()
        first = {param: values[0] for param, values in choices.items()}
        # A pool of keys is a matter of ids, which a cipher by itself does not know.
        one_key = {
            param: [value for value in values if made.pool({**first, param: value}) == 1]
            for param, values in choices.items()
        }
        return self._params(
            **{param: data.draw(st.sampled_from(values)) for param, values in one_key.items()}
        )

    def _shapes(self, params: Mapping[str, str]) -> list[ImageShape]:
        """The small ones of the sides and channels that the scheme admits; a large one where it admits no other."""
        sides = tuple(side for side in self.sides if side < 16)
        tried = tuple(itertools.product(sides, sides, self.channels))
        return _admitted(ciphers.scheme(self.name), tuple(params.items()), tried) or [
            self._large_shape(params)
        ]

    def _large_shape(self, params: Mapping[str, str]) -> ImageShape:
        """The first square that it admits with at least 8×8 pixels, of three channels, or else of the next best."""
        sides = [side for side in self.sides if side >= 8] or list(self.sides)
        channels = sorted(self.channels, key=lambda count: abs(count - 3))
        squares = tuple((side, side, count) for side, count in itertools.product(sides, channels))
        admitted = _admitted(ciphers.scheme(self.name), tuple(params.items()), squares)
        assert admitted, f"{self.name} admits no square image with sides {self.sides}; set `sides`"
        return admitted[0]

    def _skip_without_key(self, shape: ImageShape, params: Mapping[str, str]) -> None:
        if ciphers.scheme(self.name).key_bits(self.name, shape, params) == 0:
            pytest.skip("the scheme has no key")


@functools.cache
def _admitted(
    scheme: type[ciphers.Cipher], params: tuple[tuple[str, str], ...], shapes: tuple[ImageShape, ...]
) -> list[ImageShape]:
    """Those of the shapes that a scheme admits."""
    admitted = []
    for shape in shapes:
        with contextlib.suppress(CipherError):
            scheme.check_shape(shape, dict(params))
            admitted.append(shape)
    return admitted


def _images(count: int, shape: ImageShape, seed: int) -> np.ndarray:
    """Random images, uint8 [count, *shape]."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def _secret(number: int) -> bytes:
    return number.to_bytes(SECRET_BYTES, "big")


def _fields(key: Any) -> list[Any]:
    """The values of what a key holds."""
    if dataclasses.is_dataclass(key):
        return [getattr(key, field.name) for field in dataclasses.fields(key)]
    return list(vars(key).values())
