"""Schemes by name: built in, registered by a program, or offered by other distributions through entry points."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable
from typing import TypeVar

from lpe.transforms import plugins
from lpe.transforms.ciphers import cpbe, ele, etc, le, lpe, pbe, plain, vit_block
from lpe.transforms.ciphers.base import Cipher
from lpe.transforms.errors import CipherError, did_you_mean

ENTRY_POINTS = "lpe.ciphers"
"""The group of entry points `NAME = "package.module:Class"` by which a distribution offers schemes."""

_BUILT_IN: dict[str, type[Cipher]] = {
    "plain": plain.Plain,
    "le": le.Le,
    "ele": ele.Ele,
    "etc": etc.Etc,
    "vit-block": vit_block.VitBlock,
    "pbe": pbe.Pbe,
    "cpbe-50": cpbe.Cpbe,
    "cpbe-100": cpbe.Cpbe,
    "lpe-50": lpe.Lpe,
    "lpe-100": lpe.Lpe,
}
_registered: dict[str, type[Cipher]] = {}
_left_out: set[str] = set()  # what was warned of

NAME = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)
"""What schemes and attacks can be called: it is part of paths, and of contexts in which `|` separates."""
_RESERVED = ("all", "random")  # they mean something to `--ciphers`, and in the table of `lpe stats`
_PARAM = re.compile(r"\w[\w.-]{0,63}", re.ASCII)
_LOG = logging.getLogger("lpe")

S = TypeVar("S", bound=type[Cipher])


def names() -> list[str]:
    """The names of all schemes: ours, then those registered or installed, without what cannot be loaded."""
    for name in plugins.offered(ENTRY_POINTS):
        try:
            if name in _BUILT_IN:
                _refuse_built_in(name)
            scheme(name)
        except CipherError as error:
            if name not in _left_out:
                _left_out.add(name)
                _LOG.warning("left out: %s", error)
    return [*_BUILT_IN, *_registered]


def scheme(name: str) -> type[Cipher]:
    """The class of a scheme, which describes it.

    Raises:
      CipherError: an unknown name, or a scheme of another distribution that cannot be loaded.
    """
    known = _BUILT_IN.get(name) or _registered.get(name)
    if known is not None:
        return known
    points = plugins.offered(ENTRY_POINTS).get(name)
    if points is None:
        hint = did_you_mean(name, names()) or "; or install the package that offers it"
        raise CipherError(f"unknown cipher {name!r}; choose one of {', '.join(names())}{hint}")
    made = plugins.load(points)
    try:
        _add(name, made)
    except CipherError as error:
        raise CipherError(f"{error} (distribution {plugins.origin(points[0])})") from None
    return _registered[name]


def register(*names: str) -> Callable[[S], S]:
    """Makes a scheme known by one or more names, in this process: a decorator of its class.

        @lpe.ciphers.register("my-scheme")
        class MyScheme(lpe.ciphers.Cipher): ...

    Processes that work beside or elsewhere import the class's module, and so register it too; a notebook is none. A
    distribution offers its schemes to every process, and to the command `lpe`, by entry points of the group
    `lpe.ciphers` instead.

    Args:
      *names: lower-case letters, digits and `-`; the class is told which one it is used by.

    Raises:
      CipherError: a name that is built in, another class's, or none; or a class that is no complete scheme.
    """
    if not names or not all(isinstance(name, str) for name in names):
        raise CipherError('a scheme is registered under a name: @lpe.ciphers.register("my-scheme")')

    def add(made: S) -> S:
        for name in names:
            _add(name, made)
        return made

    return add


def _add(name: str, made: type[Cipher]) -> None:
    if name in _BUILT_IN:
        _refuse_built_in(name)
    if not NAME.fullmatch(name) or name in _RESERVED:
        raise CipherError(
            f"a scheme cannot be called {name!r}: give a lower-case letter, then at most 63 letters, digits or -; "
            f"not {' or '.join(_RESERVED)}"
        )
    _check(name, made)
    known = _registered.get(name, made)
    # A cell of a notebook that is run again makes the same class anew.
    if (known.__module__, known.__qualname__) != (made.__module__, made.__qualname__):
        raise CipherError(
            f"the scheme {name} is {known.__module__}.{known.__qualname__} already; choose another name for "
            f"{made.__module__}.{made.__qualname__}"
        )
    _registered[name] = made


def _refuse_built_in(name: str) -> None:
    raise CipherError(f"the scheme {name} is built in and cannot be replaced; choose another name")


def _check(name: str, made: object) -> None:
    """Raises CipherError for what is no complete scheme."""
    if not (isinstance(made, type) and issubclass(made, Cipher)):
        raise CipherError(f"the scheme {name} must be a class made from lpe.ciphers.Cipher, not {made!r}")
    if inspect.isabstract(made):
        missing = ", ".join(sorted(made.__abstractmethods__))
        raise CipherError(f"the scheme {name} is not complete: {made.__qualname__} lacks {missing}")
    for field in ("source", "keyed", "demands", "broken_by"):
        if not isinstance(getattr(made, field, None), str):
            raise CipherError(
                f"the scheme {name} does not describe itself: {made.__qualname__}.{field} must be a text"
            )
    for param, values in made.default_params().items():
        if not values or not all(_PARAM.fullmatch(text) for text in (param, *values)):
            raise CipherError(
                f"the scheme {name}: a parameter and its values are letters, digits, -, _ and ., "
                f"not {param!r} with {values!r}"
            )
