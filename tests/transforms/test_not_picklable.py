"""Whatever holds key material refuses to be pickled, copied or printed."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import pickle
import pkgutil

import pytest

from lpe.transforms import ciphers
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.keyed import CipherSpec, KeyedCipher
from lpe.transforms.not_picklable import NotPicklable

SECRET = b"\x5e" * 32


@dataclasses.dataclass(frozen=True, repr=False)
class Held(NotPicklable):
    """A dataclass with a secret."""

    secret: bytes


class FixedPrf:
    """The same secret for every context."""

    def compute(self, context: bytes, length: int) -> bytes:
        """The secret."""
        return SECRET


HOLDERS = [
    Held(SECRET),
    FieldStream(SECRET, "mu"),
    ciphers.create("lpe-100", secret=SECRET, image_shape=(4, 4, 3)),
    KeyedCipher(CipherSpec("lpe-100", salt="5a17"), FixedPrf()),
    *(
        ciphers.scheme(name).derive_keys([SECRET], (4, 4, 3), ciphers.resolve_params(name, {}))[0]
        for name in ciphers.names()
        if name != "plain"
    ),
]


@pytest.mark.parametrize(
    "holder", HOLDERS, ids=lambda holder: f"{type(holder).__module__}.{type(holder).__name__}"
)
def test_what_holds_a_secret_refuses_to_be_pickled_or_copied(holder):
    assert isinstance(holder, NotPicklable)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="holds key material and must not be pickled; make it in setup"):
            pickle.dumps(holder, protocol)
    for refused in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=type(holder).__name__):
            refused(holder)
    with pytest.raises(TypeError, match="must not be pickled"):
        pickle.dumps({"inside": [holder]})


@pytest.mark.parametrize("text", [repr, str, "{!r}".format, "{}".format])
def test_it_is_printed_without_the_secret(text):
    shown = text(Held(SECRET))
    assert shown == "<Held, not shown>"
    assert str(SECRET) not in shown


def test_no_class_with_key_material_prints_its_fields():
    """A dataclass without `repr=False` would."""
    for module in pkgutil.iter_modules(ciphers.__path__):
        found = vars(importlib.import_module(f"{ciphers.__name__}.{module.name}")).get("Key")
        if found is not None and dataclasses.fields(found):
            assert issubclass(found, NotPicklable)
            assert found.__repr__ is NotPicklable.__repr__
