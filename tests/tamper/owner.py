"""An owner's tree of tiny datasets, plain and encrypted in every way, made once and copied by each test."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lpe
from lpe.pipeline.keystore import KeyStore
from lpe.transforms.errors import LpeError
from tests.fuzz.budget import INPUTS

SIZE = 8
CLASSES = ("cat", "dog", "eel")
KEYSET = "patients"
EXHAUSTIVE = INPUTS >= 100_000
"""Whether all is tried, as in `make test-exhaustive`; see `in_turn`."""


def in_turn(commands: Mapping[str, Callable[[], object]], number: int) -> dict[str, Callable[[], object]]:
    """The commands that have a go at attack `number`: a quarter of them in CI, in turn, and all if `EXHAUSTIVE`."""
    every = 1 if EXHAUSTIVE else 4
    return dict([*commands.items()][number % every :: every])


def write_images(folder: Path, train: int = 128, test: int = 6, *, seed: int = 0, size: int = SIZE) -> str:
    """Writes image files of random pixels, and returns the folder as a source. 128 are two shards."""
    random = np.random.RandomState(seed)
    for split, count in (("train", train), ("test", test)):
        for number in range(count):
            name = CLASSES[number % len(CLASSES)]
            path = folder / split / name / f"{name}-{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.randint(0, 256, (size, size, 3), np.uint8)).save(path)
    return f"folder:{folder}"


@dataclasses.dataclass(frozen=True)
class Owner:
    """Where the owner keeps everything.

    Attributes:
      root: the folder of it all.
    """

    root: Path

    @property
    def keystore(self) -> str:
        return str(self.root / "keys")

    @property
    def key(self) -> lpe.KeyRef:
        return lpe.KeyRef(self.keystore, KEYSET)

    def home(self, kind: str, name: str = "shapes") -> Path:
        """The home of a dataset: `plain`, `enc`, `hidden`, `sealed` and so on."""
        return self.root / kind / name

    def version(self, kind: str, version: str = "1.0.0", name: str = "shapes") -> Path:
        return self.home(kind, name) / version

    def ingest(self, source: str, kind: str, name: str = "shapes", **read: object) -> lpe.JobResult:
        spec = lpe.JobSpec(lpe.ReadSpec(source, **read), str(self.home(kind, name)), skip_bad_records=True)
        return lpe.ingest(spec)

    def encrypt(
        self,
        source: str | lpe.ReadSpec,
        kind: str,
        name: str = "shapes",
        augmentation: lpe.Augmentation | None = None,
        cipher: str = "cpbe-100",
        **choice: object,
    ) -> lpe.JobResult:
        read = source if isinstance(source, lpe.ReadSpec) else lpe.ReadSpec(source)
        spec = lpe.JobSpec(read, str(self.home(kind, name)), skip_bad_records=True)
        return lpe.encrypt(spec, lpe.CipherChoice(cipher, **choice), self.key, augmentation)

    def decrypt(self, kind: str, to: str, name: str = "shapes", *, skip: bool = False) -> lpe.JobResult:
        read = lpe.ReadSpec(f"dataset:{self.home(kind, name)}")
        return lpe.decrypt(lpe.JobSpec(read, str(self.home(to, name)), skip_bad_records=skip), self.keystore)

    def reencrypt(self, kind: str, name: str = "shapes", **policy: object) -> lpe.Outcome:
        return lpe.reencrypt(str(self.home(kind, name)), self.keystore, lpe.Policy(**policy))

    def unseal(self, kind: str, to: str, name: str = "shapes") -> lpe.JobResult:
        read = lpe.ReadSpec(f"dataset:{self.home(kind, name)}")
        return lpe.unseal(lpe.JobSpec(read, str(self.home(to, name))), str(self.root / "data.key"))

    def copied(self, to: Path) -> Owner:
        """The same tree elsewhere, without the image files."""
        shutil.copytree(self.root, to, symlinks=True, ignore=shutil.ignore_patterns("images"))
        return Owner(to)


def make_owner(root: Path, train: int = 128, *, others: bool = True) -> Owner:
    """The datasets that the tests attack, with two shards of training images each unless there are fewer.

    plain, enc, hidden, sealed (hidden as well), unsealed; and with `others`: other (another source), augmented.
    """
    owner = Owner(root)
    KeyStore(owner.keystore).create(KEYSET)
    (root / "images").mkdir(parents=True)
    source = write_images(root / "images" / "shapes", train)
    (root / "images" / "shapes" / "train" / "cat" / "damaged.png").write_bytes(b"no image")
    owner.ingest(source, "plain")
    plain = f"dataset:{owner.home('plain')}"
    owner.encrypt(source, "enc")
    owner.encrypt(plain, "hidden", hide_labels=True)
    owner.encrypt(plain, "sealed", hide_labels=True, seal=True)
    lpe.export_data_key(str(owner.home("sealed")), owner.keystore, KEYSET, str(root / "data.key"))
    owner.unseal("sealed", "unsealed")
    if not others:
        return owner
    other = write_images(root / "images" / "other", seed=1)
    owner.encrypt(other, "other", hide_labels=True, seal=True)
    owner.encrypt(plain, "augmented", augmentation=lpe.Augmentation(("flip",), 1))
    return owner


def snapshot(root: Path, *without: Path) -> dict[str, str]:
    """What lies in a tree: the digest of each file, where each link leads."""
    found = {}
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            if not any(path.is_relative_to(part) for part in without):
                content = (
                    f"-> {path.readlink()}"
                    if path.is_symlink()
                    else hashlib.sha256(path.read_bytes()).hexdigest()
                )
                found[str(path.relative_to(root))] = content
    return found


@contextlib.contextmanager
def refusal(*parts: str):
    """The block must end in one of our errors, of one line, which holds these parts."""
    with pytest.raises(LpeError) as raised:
        yield
    message = str(raised.value)
    assert message.count("\n") == 0, message
    assert len(message) < 1000, message
    for part in parts:
        assert part in message, message
