"""lpe audit: reports that say what is true, with figures that machines read and pages that people do."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.audit.duration import attack_seconds
from lpe.pipeline.audit.experiment import target_on_scheme
from lpe.pipeline.cli.app import main
from lpe.pipeline.jobs import audit
from lpe.transforms import ciphers
from tests.browser import assert_stands_alone, chromium, layout_widths, needs_chromium
from tests.pipeline.running import encrypt, refused
from tests.pipeline.sources.images import encoded, pixels, write


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> str:
    home = tmp_path_factory.mktemp("plain") / "shapes"
    assert main(["ingest", "--source", "synthetic:120", "--output", str(home), "--json"]) == 0
    return f"dataset:{home}"


def test_the_report_of_a_broken_scheme(lpe, plain, tmp_path):
    words = ("audit", "--source", plain, "--cipher", "cpbe-100", "--images", 60, "--output", tmp_path)
    done = lpe(*words, "--scope", "dataset", "--json")
    assert done.code == 0, done.out
    report = json.loads((tmp_path / "report.json").read_text())
    assert done.json["schemes"] == report["schemes"]
    (scheme,) = report["schemes"]
    assert (scheme["cipher"], scheme["scope"]) == ("cpbe-100", "dataset")
    assert "Broken with 1 known image, in" in scheme["verdict"]
    assert "Broken with 1 chosen image, in" in scheme["verdict"]
    by_name = {attack["name"]: attack for attack in scheme["attacks"]}
    chosen = by_name["chosen-cpbe"]
    assert (chosen["adversary"], chosen["images"], chosen["exact"]) == ("chosen-plaintext", 1, 1.0)
    assert (chosen["mae"], chosen["psnr"], chosen["ssim"]) == (0.0, 100.0, 1.0)
    assert chosen["floor"].keys() == {"mae", "psnr", "ssim", "exact"}
    assert chosen["floor"]["psnr"] < 20
    # 48 of 60 are attacked, and the curve shows how many it takes.
    assert by_name["smoothness"]["images"] == 48
    assert [point["images"] for point in by_name["smoothness"]["curve"]] == [1, 3, 10, 30, 48]


def test_a_key_per_image_and_nothing_found_is_never_called_secure(lpe, plain, tmp_path):
    words = ("audit", "--source", plain, "--ciphers", "cpbe-100,etc", "--images", 40, "--output", tmp_path)
    schemes = lpe(*words, "--scope", "image", "--json").json["schemes"]
    for scheme in schemes:
        assert scheme["verdict"].startswith(
            "Not attacked: none of these attacks is meant for it. Who holds 120 "
        )
    page = (tmp_path / "report.html").read_text()
    assert "not broken by these attacks" in page
    assert not re.search(r"\b(is|are) secure", page)


def test_who_holds_photographs_names_the_right_one(lpe, plain, tmp_path):
    words = ("audit", "--source", plain, "--ciphers", "plain,pbe,cpbe-100", "--images", 40)
    done = lpe(*words, "--scope", "image", "--output", tmp_path, "--json")
    unencrypted, pbe, cpbe = done.json["schemes"]
    assert unencrypted["reidentification"] == {
        "first": 1.0,
        "median": 1.0,
        "candidates": 120,
        "by": "the image as it is",
    }
    for scheme, by in ((pbe, "distances from middle grey"), (cpbe, "differences between channels")):
        # Nothing of the key is known, and each image has its own.
        assert (scheme["reidentification"]["by"], scheme["reidentification"]["first"]) == (by, 1.0)
        as_it_is, by_statistics = scheme["without_attack"]
        assert as_it_is["first"] < by_statistics["first"] == 1.0
        assert f"names the right one in 100% of cases (floor 0.8%), by its {by}." in scheme["verdict"]
    (negatives,) = pbe["attacks"]
    assert 0 <= negatives["reidentification"]["first"] <= 1
    assert 1 <= negatives["reidentification"]["median"] <= 120
    page = (tmp_path / "report.html").read_text()
    assert '<th scope="col" class="figure">right photograph first</th>' in page
    assert "<td>its distances from middle grey</td>" in page
    assert '<td class="figure">0.8%</td>' in page


def test_it_says_beforehand_how_long_it_will_take(lpe, plain, tmp_path):
    words = ("audit", "--source", plain, "--ciphers", "pbe,cpbe-100", "--images", 20, "--output", tmp_path)
    lines = lpe(*words, "--scope", "dataset").err.splitlines()
    announced = "a few seconds by what other machines took: attacks on 2 encryptions of 20 images of 32×32×3"
    assert lines[0] == announced
    assert len(lines) == 1 + 6


def test_encryptions_attacked_side_by_side_are_reported_as_in_turn(lpe, plain, tmp_path, monkeypatch):
    def report(folder: str, *more: str) -> list[tuple[object, ...]]:
        words = ("audit", "--source", plain, "--images", 20, "--output", tmp_path / folder, *more)
        schemes = lpe(*words, "--ciphers", "pbe,cpbe-100", "--scope", "dataset", "--json").json["schemes"]
        return [(s["cipher"], s["scope"], [attack["name"] for attack in s["attacks"]]) for s in schemes]

    in_turn = report("in-turn")
    monkeypatch.setattr(audit, "_WORTH_PROCESSES", 0.0)
    monkeypatch.setattr(audit, "usable_cores", lambda: 2)
    in_processes: list[str] = []
    monkeypatch.setattr(audit, "_in_turn", lambda *arguments: in_processes.append("not"))
    assert report("side-by-side") == in_turn
    assert in_processes == []


def test_more_work_is_expected_to_take_longer():
    def seconds(cipher="lpe-50", images=40, side=8, scope="dataset", adversaries=("ciphertext-only",)):
        return attack_seconds(target_on_scheme((side, side, 3), cipher, {}, scope), images, adversaries)

    assert 0 < seconds() < seconds(images=80) < seconds(images=80, side=16)
    assert seconds() < seconds(adversaries=("ciphertext-only", "chosen-plaintext"))
    assert seconds() < seconds(adversaries=("ciphertext-only", "learned"))
    assert seconds(scope="image") < seconds()
    assert seconds("plain") == 0
    assert all(seconds(name) > 0 for name in ciphers.names() if name != "plain")


def test_one_adversary_alone(lpe, plain, tmp_path):
    words = ("audit", "--source", plain, "--cipher", "lpe-100", "--images", 40, "--output", tmp_path)
    (scheme,) = lpe(*words, "--scope", "image", "--adversary", "ciphertext-only", "--json").json["schemes"]
    assert [attack["name"] for attack in scheme["attacks"]] == ["one-image"]
    assert len(scheme["attacks"][0]["curve"]) == 1


def test_an_encrypted_dataset_of_ones_own(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, plain, home, "--cipher", "pbe", "--param", "colour=true", "--hide-labels")
    words = ("audit", home, "--images", 60, "--output", tmp_path / "audit")
    refused(lpe(*words), "--keystore", code=2)
    (scheme,) = lpe(*words, "--keystore", keystore, "--json").json["schemes"]
    assert (scheme["cipher"], scheme["params"], scheme["scope"]) == ("pbe", {"colour": "true"}, "dataset")
    chosen = next(attack for attack in scheme["attacks"] if attack["name"] == "chosen-pbe")
    assert (chosen["images"], chosen["exact"]) == (1, 1.0)
    assert chosen["reidentification"] == {"first": 1.0, "median": 1.0, "candidates": 120, "by": "chosen-pbe"}


def test_what_cannot_be_audited(lpe, keystore, plain, tmp_path):
    out = ("--output", tmp_path / "audit")
    refused(lpe("audit", *out), "--source", code=2)
    refused(lpe("audit", "x", "--source", plain, *out), "--source", code=2)
    refused(lpe("audit", "--source", plain, "--cipher", "rot13", *out), "unknown cipher")
    write(tmp_path / "few", {f"cat/{i}.png": encoded(pixels(i)) for i in range(3)})
    refused(
        lpe("audit", "--source", f"folder:{tmp_path}/few", *out), "only 3 images; an audit needs 10 or more"
    )
    refused(lpe("audit", "--source", plain, "--images", 5, *out), code=2)
    sealed = tmp_path / "enc" / "sealed"
    encrypt(lpe, keystore, plain, sealed, "--seal")
    refused(lpe("audit", sealed, "--keystore", keystore, *out), "is sealed")
    assert not (tmp_path / "audit").exists()


def test_the_page_needs_no_network(lpe, plain, tmp_path):
    lpe("audit", "--source", plain, "--cipher", "pbe", "--images", 40, "--output", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert_stands_alone(page)
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 3  # two galleries; one curve, since with a key per image nothing is learnt
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)


@needs_chromium
def test_the_page_as_a_browser_shows_it(lpe, plain, tmp_path):
    lpe("audit", "--source", plain, "--cipher", "lpe-100", "--images", 40, "--output", tmp_path)
    shot, page = tmp_path / "page.png", tmp_path / "report.html"
    chromium(tmp_path / "profile", "--window-size=1000,2400", f"--screenshot={shot}", f"file://{page}")
    pixels = np.asarray(Image.open(shot).convert("RGB"))
    assert pixels.shape == (2400, 1000, 3)
    # Text, and the colours of the gallery: a page that did not render is white.
    assert (pixels.min(axis=2) < 100).mean() > 0.02
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000
    assert layout_widths([page], tmp_path) == [[360, 1280]]
    assert "What the encryption gives away" in page.read_text()
    assert page.read_text().count("<img") == 3


@pytest.mark.slow
def test_networks_and_a_classifier(lpe, plain, tmp_path):
    run = tmp_path / "run"
    words = ("--output", run, "--epochs", 2, "--batch-size", 32)
    assert lpe("train", "--data", plain.removeprefix("dataset:"), *words).code == 0
    words = ("audit", "--source", plain, "--cipher", "lpe-50", "--scope", "dataset", "--images", 100)
    done = lpe(*words, "--output", tmp_path / "audit", "--learned", "--classifier", run, "--json")
    assert done.code == 0, done.out
    (scheme,) = done.json["schemes"]
    learned = [attack for attack in scheme["attacks"] if attack["adversary"] == "learned"]
    assert [attack["name"] for attack in learned] == ["network, own keys", "network, known pairs"]
    for attack in learned:
        assert attack["psnr"] > attack["floor"]["psnr"]
    assert all(0 <= attack["agreement"] <= 1 for attack in scheme["attacks"])
    chosen = next(attack for attack in scheme["attacks"] if attack["adversary"] == "chosen-plaintext")
    assert chosen["agreement"] == 1
