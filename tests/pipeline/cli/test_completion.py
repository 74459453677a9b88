"""Completion by a shell: commands, options and values, as bash asks for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lpe.pipeline.cli.app import main
from lpe.transforms import ciphers


def completed(capsys, monkeypatch, *words: str) -> list[str]:
    """What bash is offered for the last of the words after `lpe`."""
    line = ["lpe", *words]
    monkeypatch.setenv("_LPE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(line))
    monkeypatch.setenv("COMP_CWORD", str(len(line) - 1))
    capsys.readouterr()
    assert main([]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("enc",), ["encrypt"]),
        (("keys", "ro"), ["rotate"]),
        (("encrypt", "--hid"), ["--hide-labels"]),
        (("encrypt", "--cipher", "lpe"), ["lpe-50", "lpe-100"]),
        (("show", "--ciphers", "le,lpe"), ["le,lpe-50", "le,lpe-100"]),
        (("encrypt", "--source", "c"), ["cifar10", "cifar:"]),
        (("ingest", "--source", "f"), ["folder:"]),
        (("train", "--model", "r"), ["resnet18"]),
        (("train", "--front-end", "dechain+e"), ["dechain+embedding"]),
        (("train", "--recipe", "m"), ["madono"]),
        (("train", "--precision", "mixed_b"), ["mixed_bfloat16"]),
        (("audit", "--adversary", "known"), ["known-plaintext"]),
        (("ingest", "--image-size", "sa"), ["same"]),
        (("encrypt", "--scope", "i"), ["image"]),
        (("encrypt", "--workrs", "2", "--sea"), ["--seal"]),
        (("ciphers", "et"), ["etc"]),
    ],
    ids=str,
)
def test_values_are_completed(capsys, monkeypatch, words, offered):
    assert completed(capsys, monkeypatch, *words) == offered


def test_nothing_typed_offers_all(capsys, monkeypatch):
    assert completed(capsys, monkeypatch, "encrypt", "--cipher", "''") == ciphers.names()


def test_completion_imports_neither_beam_nor_keras():
    code = (
        "import os, sys; from lpe.pipeline.cli.app import main\n"
        "os.environ.update(_LPE_COMPLETE='complete_bash', COMP_WORDS='lpe train --front-end d', COMP_CWORD='3')\n"
        "assert main([]) == 0\n"
        "assert not {'apache_beam', 'keras', 'tensorflow'} & set(sys.modules)"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == ["dechain"]


def test_the_script_of_a_shell_is_shown(capsys, monkeypatch):
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: "bash")
    assert main(["--show-completion"]) == 0
    assert "_LPE_COMPLETE=complete_bash" in capsys.readouterr().out
