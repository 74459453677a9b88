"""`lpe fit-reduction`: what it writes and says, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lpe.pipeline.encryption.encoders import read_encoder
from tests.pipeline.running import refused

SMALL = ("--side", "4", "--width", "2", "--epochs", "1", "--images", "40")


def test_it_writes_an_encoder_and_what_to_know_of_it(lpe, tmp_path):
    output = tmp_path / "encoder"
    words = ("fit-reduction", "--source", "synthetic:200", "--output", output, *SMALL)
    done = lpe(*words, "--classes", "disc,ring,square", "--channels", "2", "--json").json
    written = json.loads((output / "fit.json").read_text())
    assert {name: done[name] for name in written} == written
    assert written["images"] == {"fitted": 40, "held_out": 8}
    assert written["released_shape"] == [4, 4, 2]
    assert written["settings"]["adversary"] == 1
    assert 0 <= written["accuracy"] <= 1
    assert written["psnr"]["decoder"] > 5
    assert (output / "encoder.bin").stat().st_mode & 0o777 == 0o600
    encoder = read_encoder(str(output))
    assert (encoder.digest, encoder.image_shape) == (written["digest"], (32, 32, 3))
    assert encoder.encode(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 4, 4, 2)
    before = (output / "encoder.bin").read_bytes()
    refused(lpe(*words), "an encoder is there already", "choose another --output", code=2)
    assert (output / "encoder.bin").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--classes", "dog"), 2, "no class 'dog'; there is "),
        (("--side", "40"), 2, "images of 32×32 are smaller"),
        (("--epochs", "0"), 2, "--epochs"),
        (("--adversary", "-1"), 2, "--adversary -1.0: give a number from 0 to 1,000"),
    ],
)
def test_what_it_cannot_fit_is_refused(lpe, tmp_path, words, code, message):
    given = ("fit-reduction", "--source", "synthetic:60", "--output", tmp_path / "encoder", *words)
    refused(lpe(*given), message, code=code)
    assert not (tmp_path / "encoder").exists()


def test_it_is_not_fitted_to_ciphertext(lpe, tmp_path, keystore):
    home = tmp_path / "enc"
    words = ("--source", "synthetic:60", "--output", home, "--keystore", keystore, "--key", "patients")
    assert lpe("encrypt", *words).code == 0
    given = ("fit-reduction", "--source", f"dataset:{home}", "--output", tmp_path / "encoder")
    refused(lpe(*given), "this dataset is encrypted already; fit to the plain images")
