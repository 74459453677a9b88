"""The things that are compared: schemes with a key, and controls without one, which only give away less of an image."""

from __future__ import annotations

import dataclasses
import hashlib
import re

from lpe.pipeline.encryption.reduction import given_chain
from lpe.transforms.reductions.chain import LEARNED

ALL_CONTROLS = (
    *(f"thumbnail={side}" for side in (4, 8, 16, 24)),
    *(f"noise={sd}" for sd in (16, 32, 64, 128)),
    *(f"blur={sigma}" for sigma in (1, 2, 4)),
    *(f"bits={count}" for count in (1, 2, 3, 4)),
)
"""The controls that `all` stands for, as `lpe.transforms.reductions.parse` reads them."""


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A cipher, or a reduction without one.

    Attributes:
      cipher: the cipher's name; `plain` for a reduction, and for images as they are.
      reduction: what is done to the images before, as `lpe.transforms.reductions.parse` reads it; empty for nothing.
    """

    cipher: str
    reduction: str = ""

    @property
    def title(self) -> str:
        """The scheme as people read it."""
        return self.reduction or self.cipher

    @property
    def folder(self) -> str:
        """A name for its directories, like no other scheme's."""
        if not self.reduction:
            return self.cipher
        name = re.sub(r"[^A-Za-z0-9.]+", "-", self.reduction)
        # Two encoders may lie at places that differ in such characters alone.
        return f"{name}-{hashlib.sha256(self.reduction.encode()).hexdigest()[:8]}" if self.learned else name

    @property
    def learned(self) -> bool:
        """Whether an encoder, which its owner keeps secret, reduces the images."""
        return any(step.startswith(f"{LEARNED}:") for step in self.reduction.split(","))

    @property
    def needs_no_secret(self) -> bool:
        """Whether it is `plain` or a control: there is no key, and whoever likes can do the same to an image."""
        return self.cipher == "plain" and not self.learned


PLAIN = Scheme("plain")


def control(text: str) -> Scheme:
    """A reduction without a key. Raises UsageError for one that there is not, or an encoder that is not there."""
    scheme = Scheme("plain", ",".join(step.strip() for step in text.split(",")))
    chain = given_chain(scheme.reduction)
    return scheme if scheme.learned else Scheme("plain", str(chain))
