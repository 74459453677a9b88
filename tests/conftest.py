"""What many tests need: the command in-process, a key store, small datasets, the shared images."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lpe.pipeline.cli.app import main
from lpe.pipeline.keystore import KeyStore

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output."""
        lines = self.out.splitlines()
        assert len(lines) == 1, f"expected one line of JSON, got {self.out!r}"
        return json.loads(lines[0])


Lpe = Callable[..., Outcome]


@pytest.fixture
def lpe(capsys: pytest.CaptureFixture[str]) -> Lpe:
    """Runs `lpe` with the given words."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def keystore(tmp_path: Path) -> str:
    """A key store with the keyset `patients`."""
    uri = str(tmp_path / "keys")
    KeyStore(uri).create("patients")
    return uri


@pytest.fixture
def shared() -> Path:
    """The folder of real images beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the real images of ../shared/data are not here")
    return SHARED


@pytest.fixture(autouse=True)
def _loud_logging() -> None:
    """`main` quietens logging; tests that look at logs want them back."""
    logging.getLogger().setLevel(logging.WARNING)
