"""Hints: a slip of one letter is answered with the word that was meant, and Beam's options stay Beam's."""

from __future__ import annotations

import argparse

import pytest
import typer
from apache_beam.options.pipeline_options import PipelineOptions

import lpe.pipeline.engine.runners  # noqa: F401  (options of ours at Beam)
from lpe.pipeline.cli.app import app
from lpe.pipeline.cli.commands import slip_of

INGEST = ("ingest", "--source", "synthetic:20", "--output", "out/shapes")
ENCRYPT = ("encrypt", "--source", "synthetic:20", "--output", "out/shapes", "--keystore", "k", "--key", "a")
TRAIN = ("train", "--data", "x", "--output", "y")
AUDIT = ("audit", "--source", "synthetic:20", "--output", "a")
SLIPS = [
    ((*INGEST, "--workrs", "3"), "--workers"),
    ((*INGEST, "--workers=3", "--gray"), "--grey"),
    ((*INGEST, "--image-sice=same"), "--image-size"),
    ((*INGEST, "--image_size", "same"), "--image-size"),
    ((*INGEST, "--image-size", "sama"), "same"),
    ((*INGEST, "--image-size", "32*48"), "32x48"),
    ((*ENCRYPT, "--cihper", "pbe"), "--cipher"),
    ((*ENCRYPT, "--kez", "b"), "--key"),
    ((*ENCRYPT, "--cipher", "lpe100"), "lpe-100"),
    ((*ENCRYPT, "--param", "chian=row"), "chain"),
    ((*ENCRYPT, "--param", "chain=rwo"), "row"),
    (("ingest", "--source", "fodler:x", "--output", "out/x"), "folder:x"),
    (("ingest", "--source", "cifar-10", "--output", "out/x"), "cifar10"),
    (("encryt",), "encrypt"),
    (("keys", "crate", "a", "--keystore", "k"), "create"),
    (("--versoin",), "--version"),
    ((*TRAIN, "--epoch", "3"), "--epochs"),
    ((*TRAIN, "--model", "resnet81"), "resnet18"),
    ((*TRAIN, "--front-end", "dechian+embedding"), "dechain"),
    ((*TRAIN, "--recipe", "madonno"), "madono"),
    ((*TRAIN, "--optimizer", "adamv"), "adamw"),
    ((*TRAIN, "--precision", "mixed_bfloat61"), "mixed_bfloat16"),
    ((*AUDIT, "--adversary", "cipertext-only"), "ciphertext-only"),
    (("show", "--source", "synthetic:20", "--ciphers", "pbe,ell"), "ele"),
]


@pytest.mark.parametrize(("words", "meant"), SLIPS, ids=[" ".join(words[-2:]) for words, _ in SLIPS])
def test_a_slip_is_answered_with_what_was_meant(lpe, tmp_path, monkeypatch, words, meant):
    monkeypatch.chdir(tmp_path)
    outcome = lpe(*words)
    assert outcome.code in (1, 2)
    assert outcome.err.endswith(f"did you mean {meant}?\n")
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_option_is_a_usage_error(lpe):
    outcome = lpe(*INGEST, "--workrs", "3")
    assert (outcome.code, outcome.err) == (2, "lpe: no option --workrs; did you mean --workers?\n")


def test_no_option_of_beams_is_taken_for_a_slip():
    parser = argparse.ArgumentParser(add_help=False)
    for group in PipelineOptions.__subclasses__():
        group._add_argparse_args(parser)
    beams = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
    assert len(beams) > 100
    beams.remove("--labels")  # ours is a table; --label is Beam's other name for it, and stays Beam's
    assert "--label" in beams
    ours = {name for command in typer.main.get_command(app).commands.values() for name in own(command)}
    assert {name: meant for name in beams if (meant := slip_of(name, ours))} == {}


def own(command) -> list[str]:
    return [name for param in command.params for name in (*param.opts, *param.secondary_opts) if "--" in name]


def test_an_option_of_beams_still_passes(lpe, tmp_path):
    home = tmp_path / "out" / "shapes"
    words = ("ingest", "--source", "synthetic:20", "--output", home, "--job_name=x", "--json")
    assert lpe(*words).json["status"] == "ok"


def test_what_nobody_knows_is_refused(lpe):
    outcome = lpe(*INGEST, "--quux=1")
    assert outcome.code == 2
    assert "neither lpe nor Beam knows the option --quux=1" in outcome.err


def test_a_word_that_is_no_option_is_refused(lpe):
    outcome = lpe(*INGEST, "photos")
    assert outcome.code == 2
    assert "unexpected word photos" in outcome.err


def test_what_the_parser_says_has_the_form_of_our_messages(lpe):
    outcome = lpe("train", "--data", "somewhere")
    assert outcome.code == 2
    assert outcome.err == "lpe: missing option --output (see lpe train --help)\n"


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: (path / "cat").mkdir(parents=True), "folder"),
        (
            lambda path: ((path / "1.0.0").mkdir(parents=True), (path / "1.0.0/dataset_info.json").touch()),
            "dataset",
        ),
        (lambda path: (path.parent.mkdir(), path.with_name("x.tar.gz").touch()), "folder"),
        (lambda path: (path.parent.mkdir(), path.with_name("cifar-100-python.tar.gz").touch()), "cifar"),
    ],
    ids=["folder", "dataset", "archive", "cifar"],
)
def test_a_path_without_a_kind_is_given_one(lpe, tmp_path, make, kind):
    path = tmp_path / "in" / "x"
    make(path)
    path = path if path.exists() else next(path.parent.iterdir())
    outcome = lpe("ingest", "--source", path, "--output", tmp_path / "out" / "x")
    assert outcome.err.endswith(f"did you mean {kind}:{path}?\n")


def test_an_empty_value_is_refused(lpe):
    outcome = lpe("decrypt", "--source", "x", "--output", "y", "--keystore", "")
    assert outcome.code == 2
    assert outcome.err.startswith("lpe: --keystore is empty; ")
