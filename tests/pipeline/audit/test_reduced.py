"""lpe audit of reduced images: measured against the images before, with and without a key."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lpe.pipeline.audit import unet
from lpe.pipeline.audit.duration import attack_seconds
from lpe.pipeline.audit.experiment import experiment_on_scheme, target_on_scheme
from lpe.pipeline.cli.app import main
from lpe.transforms import reductions
from tests.pipeline.running import encrypt, refused
from tests.transforms.attacks.pictures import blobs, psnr
from tests.transforms.reductions.encoders import small_encoder, written


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> str:
    home = tmp_path_factory.mktemp("plain") / "shapes"
    assert main(["ingest", "--source", "synthetic:100", "--output", str(home), "--json"]) == 0
    return str(home)


def test_without_a_key_it_says_what_everybody_sees_and_an_analyst_restores(lpe, plain, tmp_path):
    words = (
        "audit",
        "--source",
        f"dataset:{plain}",
        "--cipher",
        "plain",
        "--images",
        60,
        "--output",
        tmp_path,
    )
    done = lpe(*words, "--reduce", "thumbnail=16", "--json")
    assert done.code == 0, done.out + done.err
    (scheme,) = json.loads((tmp_path / "report.json").read_text())["schemes"]
    assert scheme["reduction"] == "thumbnail=16"
    assert (scheme["public"], scheme["bound"]) == (48, None)
    (linear,) = scheme["attacks"]
    assert (linear["name"], linear["adversary"], linear["images"]) == ("linear", "ciphertext-only", 1)
    assert linear["psnr"] > scheme["ciphertext"]["psnr"] > linear["floor"]["psnr"]
    assert (
        "No encryption: what thumbnail=16 leaves of the images is there for all to see" in scheme["verdict"]
    )
    assert f"{linear['psnr']:.1f} dB" in scheme["verdict"]
    assert "learnt from 48 public images" in (tmp_path / "report.html").read_text()


def test_a_bound_stands_beside_attacks_on_noise(lpe, plain, tmp_path):
    words = (
        "audit",
        "--source",
        f"dataset:{plain}",
        "--cipher",
        "plain",
        "--images",
        60,
        "--output",
        tmp_path,
    )
    (scheme,) = lpe(*words, "--reduce", "noise=32", "--json").json["schemes"]
    assert scheme["attacks"][0]["psnr"] < scheme["bound"]["psnr_at_most"]
    assert "Gaussian" in scheme["bound"]["assumptions"]
    assert f"Bound: {scheme['bound']['psnr_at_most']:.1f} dB" in (tmp_path / "report.html").read_text()


def test_a_reduced_dataset_is_compared_with_the_images_before(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    words = ("--cipher", "pbe", "--reduce", "thumbnail=16,noise=2")
    done = encrypt(lpe, keystore, f"dataset:{plain}", home, *words)
    assert done.code == 0, done.out + done.err
    words = ("audit", home, "--keystore", keystore, "--images", 60, "--output", tmp_path / "audit")
    refused(lpe(*words), "--against")
    refused(lpe(*words, "--against", home), "encrypted")
    other = tmp_path / "other"
    assert lpe("ingest", "--source", "synthetic:20", "--output", other).code == 0
    refused(lpe(*words, "--against", other), "not the images that the reduced ones were made from")
    done = lpe(*words, "--against", f"dataset:{plain}", "--json")
    assert done.code == 0, done.out + done.err
    (scheme,) = done.json["schemes"]
    by_name = {attack["name"]: attack for attack in scheme["attacks"]}
    chosen, restored = by_name["chosen-pbe"], by_name["chosen-pbe + linear"]
    assert chosen["exact_reduced"] == 1
    assert chosen["exact"] < 0.9
    assert (restored["adversary"], restored["images"]) == ("chosen-plaintext", 1)
    assert restored["psnr"] > chosen["psnr"]


def test_who_has_the_encoder_of_a_learned_reduction_restores_and_names(lpe, keystore, plain, tmp_path):
    fitted = written(small_encoder(), tmp_path / "fitted")
    home = tmp_path / "enc" / "shapes"
    words = ("--cipher", "pbe", "--reduce", f"learned:{fitted}")
    done = encrypt(lpe, keystore, f"dataset:{plain}", home, *words)
    assert done.code == 0, done.out + done.err
    words = ("audit", home, "--keystore", keystore, "--images", 60, "--output", tmp_path / "audit")
    done = lpe(*words, "--against", f"dataset:{plain}", "--json")
    assert done.code == 0, done.out + done.err
    (scheme,) = done.json["schemes"]
    assert scheme["reduction"].startswith("learned:")
    by_name = {attack["name"]: attack for attack in scheme["attacks"]}
    restored = by_name["chosen-pbe + linear"]
    assert by_name["chosen-pbe"]["exact_reduced"] == 1
    assert restored["psnr"] > restored["floor"]["psnr"]
    assert scheme["reidentification"]["first"] > 0.9


def test_what_does_not_go_together(lpe, keystore, plain, tmp_path):
    out = ("--images", 20, "--output", tmp_path / "audit")
    source = ("audit", "--source", f"dataset:{plain}", *out)
    refused(lpe(*source, "--reduce", "thumbnails=16"), "thumbnail=SIDE", code=2)
    refused(lpe(*source, "--reduce", "thumbnail=64"), "no larger than that", code=2)
    refused(lpe(*source, "--against", plain), "--against goes with an encrypted dataset", code=2)
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home, "--cipher", "pbe")
    of_dataset = ("audit", home, "--keystore", keystore, *out)
    refused(lpe(*of_dataset, "--reduce", "grey"), "leave out --reduce", code=2)
    refused(lpe(*of_dataset, "--against", plain), "leave out --against", code=2)


def test_work_on_the_reduction_is_expected_too():
    def seconds(name: str, steps: str) -> float:
        target = target_on_scheme((32, 32, 3), name, {}, "dataset", reductions.parse(steps))
        return attack_seconds(target, 100, ("ciphertext-only",))

    assert seconds("plain", "") == 0 < seconds("plain", "thumbnail=16")
    assert seconds("pbe", "thumbnail=16") > seconds("plain", "thumbnail=16")


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 30])
def test_a_network_does_no_worse_than_the_linear_estimate(monkeypatch, size):
    monkeypatch.setattr(unet, "_SHOWN", 3000)
    images = blobs(150, (size, size, 3))
    setup = experiment_on_scheme(images, "plain", {}, "dataset", reductions.parse("thumbnail=8"))
    network = unet.ReductionNetwork()
    assert network.applies_to(setup.target)
    unseen, released = setup.held_out
    restored = network.learn(setup.evidence("learned", 1)).restore(released)
    public = unet.linear.with_mirrored(setup.plain)
    linear = unet.linear.fit(public, setup.target.reduction.apply(public))(released)
    assert restored.shape == unseen.shape
    assert psnr(restored, unseen) > psnr(linear, unseen) - 0.1
    assert np.array_equal(setup.held_out_reduced, released)
