"""Every scheme through the command: datasets, `lpe ciphers`, `lpe stats`."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.jobs.stats import stats
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms import ciphers
from lpe.transforms.errors import DataError
from tests.pipeline.running import encrypt


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """40 training and 10 test images."""
    from lpe.pipeline.cli.app import main  # noqa: PLC0415

    home = tmp_path_factory.mktemp("plain") / "shapes"
    assert main(["ingest", "--source", "synthetic:40", "--output", str(home), "--json"]) == 0
    return home


@pytest.mark.parametrize("scope", ["dataset", "image"])
@pytest.mark.parametrize("cipher", ciphers.names())
def test_every_scheme_and_scope_makes_a_dataset_that_decrypts(lpe, keystore, plain, tmp_path, cipher, scope):
    home = tmp_path / "enc" / "shapes"
    words = ("--keystore", keystore, "--json")
    made = lpe("encrypt", "--source", f"dataset:{plain}", "--output", home, "--key", "patients", "--cipher", cipher,
               "--scope", scope, *words)  # fmt: skip
    assert made.code == 0, made.out
    assert made.json["cipher"] == cipher
    checked = lpe("verify", home, "--against", f"dataset:{plain}", *words).json
    assert checked["ok"] is True
    assert checked["examples"] == 50


def test_parameters_are_remembered(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    words = ("--keystore", keystore, "--json")
    encrypt = (
        "encrypt",
        "--source",
        f"dataset:{plain}",
        "--output",
        home,
        "--key",
        "patients",
        "--cipher",
        "pbe",
    )
    assert lpe(*encrypt, "--param", "colour=true", *words).code == 0
    assert lpe("verify", home, "--against", f"dataset:{plain}", *words).json["ok"] is True


def test_a_shape_that_a_scheme_does_not_admit_is_refused_before_work(lpe, keystore, tmp_path):
    rng = np.random.default_rng(0)
    for i in range(4):
        (tmp_path / "images" / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(rng.integers(0, 256, (10, 12, 3), dtype=np.uint8))
        image.save(tmp_path / "images" / f"class{i % 2}" / f"{i}.png")
    words = (
        "encrypt",
        "--source",
        f"folder:{tmp_path}/images",
        "--keystore",
        keystore,
        "--key",
        "patients",
        "--json",
    )
    refused = lpe(*words, "--output", tmp_path / "enc" / "x", "--cipher", "ele")
    assert refused.code == 1
    assert "multiples of 4" in refused.json["error"]
    assert "--image-size 8x12" in refused.json["error"]
    assert not (tmp_path / "enc").exists()
    fitted = lpe(*words, "--output", tmp_path / "enc" / "x", "--cipher", "ele", "--image-size", "8x12")
    assert fitted.code == 0
    # Where every image has its own size, the first unfitting one is named by the job.
    mixed = lpe(*words, "--output", tmp_path / "enc" / "y", "--cipher", "etc", "--image-size", "any")
    assert mixed.code == 1
    assert "multiples of 4" in mixed.json["error"]
    grey = lpe(
        *words, "--output", tmp_path / "enc" / "z", "--cipher", "etc", "--image-size", "8x12", "--grey"
    )
    assert "3 channels" in grey.json["error"]


def test_the_list_of_schemes(lpe):
    listed = lpe("ciphers", "--json").json["ciphers"]
    assert [item["name"] for item in listed] == ciphers.names()
    assert all(
        item.keys() >= {"source", "keyed", "key_bits", "demands", "broken_by", "params"} for item in listed
    )
    assert {item["name"]: item["params"] for item in listed}["lpe-100"]["chain"] == ["raster", "row"]
    assert "no measure of security" in lpe("ciphers").out


def test_the_statistics(lpe):
    words = ("stats", "--source", "synthetic:400", "--images", 60)
    rows = {row["cipher"]: row for row in lpe(*words, "--json").json["schemes"]}
    assert list(rows) == [*ciphers.names(), "random"]
    assert rows["plain"]["key_change"]["npcr"] == 0
    assert rows["random"]["plaintext_change"] is None
    assert rows["random"]["entropy"] > 7.9
    # One changed byte of 3,072 stays one byte everywhere but behind a chain.
    for name in ("plain", "le", "ele", "etc", "vit-block", "pbe", "cpbe-50", "cpbe-100"):
        assert rows[name]["plaintext_change"]["npcr"] < 0.07
    # The chain carries one constant byte to the rest of the channel: half of a third on average.
    assert 10 < rows["lpe-100"]["plaintext_change"]["npcr"] < 24
    assert rows["cpbe-100"]["key_change"]["npcr"] > 99
    assert rows["lpe-100"]["horizontal"] < 0.2 < rows["plain"]["horizontal"]
    assert lpe(*words, "--ciphers", "pbe,le").out.count("│ pbe") == 1
    assert lpe(*words, "--ciphers", "rot13").code == 1


def test_the_table_is_what_the_command_prints(lpe):
    table = stats(ReadSpec("synthetic:400"), ["plain", "lpe-50"], count=20)
    assert [row.cipher for row in table.schemes] == ["plain", "lpe-50", "random"]
    words = ("stats", "--source", "synthetic:400", "--ciphers", "plain,lpe-50", "--images", 20, "--json")
    printed = lpe(*words).json
    assert {name: printed[name] for name in ("images", "schemes")} == table.to_json()
    assert str(table.schemes[0].key_change) == "0.00 / 0.00"


def test_only_plain_images_have_statistics(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    with pytest.raises(DataError, match="this dataset is encrypted already; give plain images"):
        stats(ReadSpec(f"dataset:{home}"), ["plain"])
