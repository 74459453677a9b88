"""Specification of a comparison, and the networks that it trains."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lpe.pipeline import storage
from lpe.pipeline.compare.schemes import PLAIN, Scheme, control
from lpe.pipeline.sources.plan import ReadSpec
from lpe.pipeline.storage.documents import read_document
from lpe.train import front_ends
from lpe.train.recipes import RECIPES, Recipe
from lpe.transforms import ciphers
from lpe.transforms.augment import Augmentation
from lpe.transforms.errors import DataError, UsageError

if TYPE_CHECKING:
    from lpe.train.backend import Precision

SPEC_FILE = "spec.json"
Kind = Literal["ciphertext", "front end", "restored"]
"""What of a scheme a network is trained on; see `Trial`."""
KINDS: tuple[Kind, ...] = ("ciphertext", "front end", "restored")


@dataclasses.dataclass(frozen=True)
class CompareSpec:
    """What to compare, on which images, and how networks are trained.

    Attributes:
      read: the images; a validation split is cut from train unless the source has one.
      work: the work directory, local, with the report; it holds plain images.
      ciphers: the schemes; `plain`, which the others are measured against, is put first, named or not.
      controls: what is compared besides, without a key: images that only give away less, each a chain as
        `lpe.transforms.reductions.parse` reads it.
      model: see `TrainSpec`, as for `epochs`, `recipe`, `precision` and `images`.
      front_end: the key-free front end, `auto` for the one that is meant for each scheme, or `none`.
      as_it_is: also train on ciphertexts as they are, where there is a front end.
      epochs: passes over the training images.
      recipe: optimiser, schedule, regularisation.
      precision: what is computed in.
      seeds: how many times each network is trained, with seeds 0, 1, …
      images: train on at most so many of the training images; None for all.
      audit_images: how many ciphertexts are sampled for the attacks; four of five are learnt from.
      augmentation: copies that the owner adds before encryption; None for none.
      beam: Beam's options, see `JobSpec`.

    Raises:
      UsageError: no seeds, an unknown front end or reduction, or a work directory that is not on this machine.
    """

    read: ReadSpec
    work: str
    ciphers: tuple[str, ...] = dataclasses.field(default_factory=lambda: tuple(ciphers.names()))
    controls: tuple[str, ...] = ()
    model: str = "cnn"
    front_end: str = front_ends.AUTO
    as_it_is: bool = False
    epochs: int = 10
    recipe: Recipe = RECIPES["small"]
    precision: Precision = "float32"
    seeds: int = 3
    images: int | None = None
    audit_images: int = 500
    augmentation: Augmentation | None = None
    beam: Sequence[str] = ()

    def __post_init__(self) -> None:
        encrypting = (name for name in self.ciphers if name != "plain")
        object.__setattr__(self, "ciphers", ("plain", *encrypting))
        reductions = dict.fromkeys(control(text).reduction for text in self.controls)
        object.__setattr__(self, "controls", tuple(reductions))
        if self.seeds < 1:
            raise UsageError(f"a comparison needs at least one seed, not {self.seeds}")
        front_ends.check(self.front_end)
        if storage.is_remote(self.work):
            raise UsageError(
                f"{self.work}: networks are trained on local files; give a directory of this machine"
            )

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """All that is compared: `plain`, the controls, then the ciphers."""
        encrypting = (Scheme(name) for name in self.ciphers[1:])
        return (PLAIN, *(Scheme("plain", text) for text in self.controls), *encrypting)

    def settings(self) -> dict[str, Any]:
        """The settings that may not change between runs in one work directory; schemes and seeds may be added."""
        return {
            "source": self.read.source,
            "options": dataclasses.asdict(self.read.options),
            "validation_fraction": self.read.validation_fraction,
            "model": self.model,
            "front_end": self.front_end,
            "epochs": self.epochs,
            "recipe": dataclasses.asdict(self.recipe),
            "precision": self.precision,
            "images": self.images,
            "audit_images": self.audit_images,
            "augmentation": None
            if self.augmentation is None
            else {**dataclasses.asdict(self.augmentation), "kinds": list(self.augmentation.kinds)},
        }

    def claim(self, digest: str | None = None) -> None:
        """Makes the work directory this comparison's.

        Args:
          digest: of the plain images; None before it is known.

        Raises:
          DataError: it is another comparison's, or one of other images.
        """
        path = storage.join(self.work, SPEC_FILE)
        wanted = json.loads(json.dumps(self.settings()))
        recorded: Mapping[str, Any] = {**wanted, "digest": None}
        if storage.exists(path):
            recorded = read_document(path, "choose another --output").raw()
        recorded_digest = recorded.get("digest")
        differing = [key for key in wanted if recorded.get(key) != wanted[key]]
        if digest is not None and recorded_digest not in (None, digest):
            differing.append("content of the source")
        if differing:
            raise DataError(
                f"{self.work}: holds a comparison with other settings ({', '.join(sorted(differing))}); choose another "
                "--output"
            )
        text = json.dumps({**wanted, "digest": recorded_digest or digest}, indent=2) + "\n"
        storage.write_atomic(path, text.encode())


@dataclasses.dataclass(frozen=True)
class Trial:
    """One network: a scheme, what of it is shown to the network, and a seed.

    Attributes:
      scheme: the scheme.
      kind: the ciphertext as it is; the ciphertext behind a key-free front end; or images that a ciphertext-only
        attack restored.
      front_end: the front end's name; `none` but for the second kind.
      seed: of weights and order.
    """

    scheme: Scheme
    kind: Kind
    front_end: str
    seed: int

    @property
    def directory(self) -> str:
        """The directory of its run, relative to the work directory."""
        return f"runs/{self.scheme.folder}/{self.kind.replace(' ', '-')}/{self.seed}"


def trials(spec: CompareSpec, restored: frozenset[Scheme]) -> list[Trial]:
    """All networks, a whole table for one seed after the other.

    Args:
      spec: the comparison.
      restored: schemes that an attack restores images of which differ from the plain ones. Where they do not, the plain
        network is the network, and is not trained again.
    """
    planned = []
    for seed in range(spec.seeds):
        for scheme in spec.schemes:
            front_end = front_ends.resolve(spec.front_end, {"cipher": scheme.cipher})
            has_front_end = scheme.cipher != "plain" and front_end != front_ends.NONE
            if has_front_end:
                planned.append(Trial(scheme, "front end", front_end, seed))
            if spec.as_it_is or not has_front_end:
                planned.append(Trial(scheme, "ciphertext", front_ends.NONE, seed))
            if scheme in restored:
                planned.append(Trial(scheme, "restored", front_ends.NONE, seed))
    return planned
