"""Attacks on the ciphers: from what an adversary has to the plaintext. One interface; needs NumPy alone.

    from lpe.transforms import attacks
    target = attacks.Target("lpe-100", cipher.params, "dataset", (32, 32, 3))
    for attack in attacks.against(target):
        if attack.adversary == "ciphertext-only":
            recovery = attack.learn(attacks.Evidence(target, ciphertexts))
            images = recovery.restore(ciphertexts)      # uint8 [N,H,W,C] -> uint8 [N,H,W,C]

    adversary           lpe          cpbe         pbe         le                  ele             etc
    ciphertext-only     smoothness   smoothness   negatives   nibbles             nibble_jigsaw   jigsaw
      one image         one_image    one_image*   negatives   one_image_le
    known-plaintext     known_lpe    known_cpbe   known_pbe   known_nibbles       known_nibbles   known_etc
    chosen-plaintext    chosen_lpe   chosen_cpbe  chosen_pbe  chosen_le           chosen_ele      chosen_etc

    * cpbe-50 alone

One module an attack, named in the table; the others hold what attacks share. An attack restores what it can: how much
that is, on which images and after how many of them, `lpe audit` measures.
"""

from __future__ import annotations

from lpe.transforms.attacks.base import Adversary, Attack, Evidence, Oracle, Recovery, Target
from lpe.transforms.attacks.chosen_cpbe import ChosenCpbe
from lpe.transforms.attacks.chosen_ele import ChosenEle
from lpe.transforms.attacks.chosen_etc import ChosenEtc
from lpe.transforms.attacks.chosen_le import ChosenLe
from lpe.transforms.attacks.chosen_lpe import ChosenLpe
from lpe.transforms.attacks.chosen_pbe import ChosenPbe
from lpe.transforms.attacks.evidence import MisfitError
from lpe.transforms.attacks.jigsaw import Jigsaw
from lpe.transforms.attacks.known_cpbe import KnownCpbe
from lpe.transforms.attacks.known_etc import KnownEtc
from lpe.transforms.attacks.known_lpe import KnownLpe
from lpe.transforms.attacks.known_nibbles import KnownNibbles
from lpe.transforms.attacks.known_pbe import KnownPbe
from lpe.transforms.attacks.negatives import Negatives
from lpe.transforms.attacks.nibble_jigsaw import NibbleJigsaw
from lpe.transforms.attacks.nibbles import NibbleStatistics
from lpe.transforms.attacks.one_image import OneImage
from lpe.transforms.attacks.one_image_le import OneImageLe
from lpe.transforms.attacks.smoothness import Smoothness

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
]

_ATTACKS: tuple[Attack, ...] = (
    OneImage(),
    OneImageLe(),
    Smoothness(),
    Negatives(),
    NibbleStatistics(),
    NibbleJigsaw(),
    Jigsaw(),
    KnownLpe(),
    KnownCpbe(),
    KnownPbe(),
    KnownNibbles(),
    KnownEtc(),
    ChosenLpe(),
    ChosenCpbe(),
    ChosenPbe(),
    ChosenLe(),
    ChosenEle(),
    ChosenEtc(),
)


def all_attacks() -> list[Attack]:
    """Every attack, ciphertext-only ones first."""
    return list(_ATTACKS)


def against(target: Target) -> list[Attack]:
    """The attacks that are meant for an encryption, ciphertext-only ones first."""
    return [attack for attack in _ATTACKS if attack.applies_to(target)]
