"""Attacks on the ciphers: from what an adversary has to the plaintext. One interface; needs NumPy alone.

    from lpe.transforms import attacks
    target = attacks.Target("lpe-100", cipher.params, "dataset", (32, 32, 3))
    for attack in attacks.against(target):
        if attack.adversary == "ciphertext-only":
            recovery = attack.learn(attacks.Evidence(target, ciphertexts))
            images = recovery.restore(ciphertexts)      # uint8 [N,H,W,C] -> uint8 [N,H,W,C]

    adversary         lpe         cpbe         pbe         le             ele            etc         vit-block
    ciphertext-only   smoothness  smoothness   negatives   nibbles        nibble_jigsaw  jigsaw      block_statistics
      one image       one_image   one_image*   negatives   one_image_le                              one_image_vit**
    known-plaintext   known_lpe   known_cpbe   known_pbe   known_nibbles  known_nibbles  known_etc   known_vit
    chosen-plaintext  chosen_lpe  chosen_cpbe  chosen_pbe  chosen_le      chosen_ele     chosen_etc  chosen_vit

    * cpbe-50 alone; ** inner=shared alone
    Against pools of keys of pbe: key_pool, known_key_pool and chosen_key_pool.

Reductions without a key: `linear`, from ciphertexts (the reduced images) and public images.

One module an attack, named in the table; the others hold what attacks share. `register`, or an entry point of the
group `lpe.attacks`, adds one of your own. An attack restores what it can: how much that is, on which images and after
how many of them, `lpe audit` measures.
"""

from __future__ import annotations

import inspect
from typing import TypeVar

from lpe.transforms import plugins
from lpe.transforms.attacks.base import Adversary, Attack, Evidence, Oracle, Recovery, Target
from lpe.transforms.attacks.block_statistics import BlockStatistics
from lpe.transforms.attacks.chosen_cpbe import ChosenCpbe
from lpe.transforms.attacks.chosen_ele import ChosenEle
from lpe.transforms.attacks.chosen_etc import ChosenEtc
from lpe.transforms.attacks.chosen_key_pool import ChosenKeyPool
from lpe.transforms.attacks.chosen_le import ChosenLe
from lpe.transforms.attacks.chosen_lpe import ChosenLpe
from lpe.transforms.attacks.chosen_pbe import ChosenPbe
from lpe.transforms.attacks.chosen_vit import ChosenVit
from lpe.transforms.attacks.evidence import MisfitError
from lpe.transforms.attacks.jigsaw import Jigsaw
from lpe.transforms.attacks.key_pool import KeyPool
from lpe.transforms.attacks.known_cpbe import KnownCpbe
from lpe.transforms.attacks.known_etc import KnownEtc
from lpe.transforms.attacks.known_key_pool import KnownKeyPool
from lpe.transforms.attacks.known_lpe import KnownLpe
from lpe.transforms.attacks.known_nibbles import KnownNibbles
from lpe.transforms.attacks.known_pbe import KnownPbe
from lpe.transforms.attacks.known_vit import KnownVit
from lpe.transforms.attacks.linear import Linear
from lpe.transforms.attacks.negatives import Negatives
from lpe.transforms.attacks.nibble_jigsaw import NibbleJigsaw
from lpe.transforms.attacks.nibbles import NibbleStatistics
from lpe.transforms.attacks.one_image import OneImage
from lpe.transforms.attacks.one_image_le import OneImageLe
from lpe.transforms.attacks.one_image_vit import OneImageVit
from lpe.transforms.attacks.smoothness import Smoothness
from lpe.transforms.ciphers.registry import NAME
from lpe.transforms.errors import CipherError

__all__ = [
    "Adversary",
    "Attack",
    "Evidence",
    "MisfitError",
    "Oracle",
    "Recovery",
    "Target",
    "against",
    "all_attacks",
    "register",
]

_ATTACKS: tuple[Attack, ...] = (
    OneImage(),
    OneImageLe(),
    OneImageVit(),
    Smoothness(),
    Negatives(),
    KeyPool(),
    NibbleStatistics(),
    NibbleJigsaw(),
    Jigsaw(),
    Linear(),
    BlockStatistics(),
    KnownLpe(),
    KnownCpbe(),
    KnownPbe(),
    KnownKeyPool(),
    KnownNibbles(),
    KnownEtc(),
    KnownVit(),
    ChosenLpe(),
    ChosenCpbe(),
    ChosenPbe(),
    ChosenKeyPool(),
    ChosenLe(),
    ChosenEle(),
    ChosenEtc(),
    ChosenVit(),
)


ENTRY_POINTS = "lpe.attacks"
"""The group of entry points `NAME = "package.module:Class"` by which a distribution offers attacks."""
_ADVERSARIES: tuple[Adversary, ...] = ("ciphertext-only", "known-plaintext", "chosen-plaintext")
_registered: dict[str, Attack] = {}

A = TypeVar("A", bound=Attack)


def all_attacks() -> list[Attack]:
    """Every attack, ours and those registered or installed, ciphertext-only ones first.

    Raises:
      CipherError: one of another distribution cannot be loaded; an audit that leaves it out would say too little.
    """
    for name, points in plugins.offered(ENTRY_POINTS).items():
        if name not in _registered:
            made = register(plugins.load(points))
            if made.name != name:
                raise CipherError(
                    f"{points[0].value} of the distribution {plugins.origin(points[0])} is offered as {name} "
                    f"and calls itself {made.name}"
                )
    return sorted([*_ATTACKS, *_registered.values()], key=lambda attack: _ADVERSARIES.index(attack.adversary))


def against(target: Target) -> list[Attack]:
    """The attacks that are meant for an encryption, ciphertext-only ones first. Raises as `all_attacks`."""
    return [attack for attack in all_attacks() if attack.applies_to(target)]


def register(made: type[A]) -> type[A]:
    """Has audits in this process carry out an attack: a decorator of its class, which needs no arguments.

        @lpe.attacks.register
        class MyAttack(lpe.attacks.Attack): ...

    A distribution offers its attacks to the command `lpe` by entry points of the group `lpe.attacks` instead, whose
    names are the attacks' own.

    Raises:
      CipherError: a name that another attack has, or a class that is no complete attack.
    """
    given: object = made
    if not (isinstance(given, type) and issubclass(given, Attack)):
        raise CipherError(f"an attack must be a class made from lpe.attacks.Attack, not {made!r}")
    name = getattr(made, "name", None)
    if inspect.isabstract(made) or not isinstance(getattr(made, "source", None), str):
        raise CipherError(
            f"the attack {made.__qualname__} is not complete: it has name, source, applies_to and learn"
        )
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise CipherError(f"an attack cannot be called {name!r}: give lower-case letters, digits or -")
    if getattr(made, "adversary", None) not in _ADVERSARIES:
        raise CipherError(f"the attack {name}: its adversary must be {' or '.join(_ADVERSARIES)}")
    known = next((type(attack) for attack in (*_ATTACKS, *_registered.values()) if attack.name == name), made)
    # A cell of a notebook that is run again makes the same class anew.
    if (known.__module__, known.__qualname__) != (made.__module__, made.__qualname__):
        raise CipherError(f"there is an attack {name} already, {known.__module__}.{known.__qualname__}")
    _registered[name] = made()
    return made
