"""ingest, encrypt and decrypt as a user runs them: round trips, versions, ids, splits."""

from __future__ import annotations

import shutil

import pyarrow.parquet as pq
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.keystore import KeyStore
from tests.pipeline.running import (
    contents,
    encrypt,
    files,
)


@pytest.mark.parametrize("scope", ["dataset", "image"])
@pytest.mark.parametrize("labels", [[], ["--hide-labels"]])
def test_round_trip(lpe, keystore, plain300, tmp_path, scope, labels):
    home, back = tmp_path / "enc" / "shapes", tmp_path / "back" / "shapes"
    made = encrypt(lpe, keystore, f"dataset:{plain300}", home, "--scope", scope, *labels)
    assert made.code == 0, made.err
    assert made.json["dataset"] == f"{home}/1.0.0"
    assert made.json["splits"]["train"]["examples"] == 300
    assert made.json["scope"] == scope
    encrypted, original = contents(home), contents(plain300)
    assert encrypted.keys() == original.keys()
    assert all(encrypted[name][0] != original[name][0] for name in original)
    hidden = open_dataset(str(home)).class_names
    assert (hidden == tuple("0123456789")) == bool(labels)
    assert all(encrypted[name][1] == original[name][1] for name in original) == (not labels)

    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore).code == 0
    assert contents(back) == original
    assert open_dataset(str(back)).class_names == open_dataset(str(plain300)).class_names
    checked = lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain300}", "--json")
    assert checked.code == 0
    assert checked.json["ok"] is True
    assert checked.json["compared"] is True
    assert checked.json["examples"] == 360


def test_encrypting_straight_from_a_source_equals_ingesting_first(lpe, keystore, plain300, tmp_path):
    assert encrypt(lpe, keystore, "synthetic:300", tmp_path / "enc" / "shapes").code == 0
    assert (
        lpe(
            *("decrypt", "--source", f"dataset:{tmp_path}/enc/shapes", "--output", tmp_path / "b" / "shapes"),
            *("--keystore", keystore),
        ).code
        == 0
    )
    assert contents(tmp_path / "b" / "shapes") == contents(plain300)


def test_the_same_job_gives_the_same_bytes_anywhere(lpe, keystore, plain300, tmp_path):
    assert encrypt(lpe, keystore, f"dataset:{plain300}", tmp_path / "one" / "shapes").code == 0
    shutil.copytree(tmp_path / "keys", tmp_path / "moved" / "keys")
    shutil.copytree(plain300, tmp_path / "moved" / "plain")
    moved = tmp_path / "moved"
    assert encrypt(lpe, moved / "keys", f"dataset:{moved}/plain", tmp_path / "two" / "shapes").code == 0
    assert files(tmp_path / "one" / "shapes") == files(tmp_path / "two" / "shapes")


@pytest.mark.parametrize("way", [("--runner=DirectRunner",), ("--workers", 2)], ids=["Beam", "two processes"])
def test_however_a_job_runs_it_gives_the_same_bytes(lpe, keystore, plain300, tmp_path, way):
    encrypt(lpe, keystore, f"dataset:{plain300}", tmp_path / "a" / "shapes")
    assert encrypt(lpe, keystore, f"dataset:{plain300}", tmp_path / "b" / "shapes", *way).code == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_ids_are_neutral_and_their_map_stays_with_the_plain_data(lpe, keystore, plain300, tmp_path):
    table = pq.read_table(plain300 / "1.0.0" / "ids.parquet").to_pydict()
    assert sorted(table["id"])[0] == "test-0000000"
    assert set(table["id"]) == contents(plain300).keys()
    assert {name.split("/")[0] for name in table["name"]} == {"train", "test"}
    home = tmp_path / "enc" / "shapes"
    assert encrypt(lpe, keystore, "synthetic:300", home).code == 0
    assert not list(home.rglob("*.parquet"))
    named = tmp_path / "named" / "shapes"
    assert lpe("ingest", "--source", "synthetic:300", "--output", named, "--keep-ids").code == 0
    assert set(contents(named)) == set(table["name"])


def test_the_validation_cut_is_even_deterministic_and_complete(lpe, tmp_path, plain300):
    cut = tmp_path / "cut" / "shapes"
    made = lpe(
        "ingest", "--source", "synthetic:300", "--output", cut, "--validation-fraction", "0.1", "--json"
    )
    assert {name: split["examples"] for name, split in made.json["splits"].items()} == {
        "train": 270,
        "validation": 30,
        "test": 60,
    }
    table = pq.read_table(cut / "1.0.0" / "ids.parquet").to_pydict()
    origins = dict(zip(table["id"], table["name"], strict=True))
    whole = dict(
        zip(
            *(pq.read_table(plain300 / "1.0.0" / "ids.parquet")[c].to_pylist() for c in ("id", "name")),
            strict=True,
        )
    )
    by_origin = {whole[name]: value for name, value in contents(plain300).items()}
    assert {origins[name]: value for name, value in contents(cut).items()} == by_origin
    assert len(set(origins.values())) == 360


def test_doing_it_again_does_nothing(lpe, keystore, plain300, tmp_path):
    home = tmp_path / "enc" / "shapes"
    first = encrypt(lpe, keystore, f"dataset:{plain300}", home)
    before = files(home)
    again = encrypt(lpe, keystore, f"dataset:{plain300}", home)
    assert (first.json["status"], again.json["status"], again.code) == ("ok", "skipped", 0)
    assert files(home) == before


def test_other_settings_make_the_next_version_and_readers_get_the_newest(lpe, keystore, plain300, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain300}", home)
    assert (
        encrypt(lpe, keystore, f"dataset:{plain300}", home, "--cipher", "lpe-50")
        .json["dataset"]
        .endswith("1.0.1")
    )
    assert open_dataset(str(home)).encryption["cipher"] == "lpe-50"
    assert open_dataset(f"{home}/1.0.0").encryption["cipher"] == "lpe-100"


def test_a_rotated_key_makes_the_next_version_and_the_old_one_stays_readable(
    lpe, keystore, plain300, tmp_path
):
    home = tmp_path / "enc" / "shapes"
    old = encrypt(lpe, keystore, f"dataset:{plain300}", home).json["key"]["id"]
    KeyStore(keystore).rotate("patients")
    new = encrypt(lpe, keystore, f"dataset:{plain300}", home).json
    assert new["dataset"].endswith("1.0.1")
    assert new["key"]["id"] != old
    for version in ("1.0.0", "1.0.1"):
        checked = lpe(
            "verify", f"{home}/{version}", "--keystore", keystore, "--against", f"dataset:{plain300}"
        )
        assert checked.code == 0, checked.err
