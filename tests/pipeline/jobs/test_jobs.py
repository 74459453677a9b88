"""ingest, encrypt, decrypt, verify as a user runs them: round trips, resuming, refusing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.keystore import KeyStore
from tests.pipeline.running import (
    contents,
    encrypt,
    encrypting,
    files,
    flipped,
    refused,
    start,
    wait_for_receipts,
)


@pytest.fixture
def plain(lpe, tmp_path) -> Path:
    """An ingested synthetic dataset: 300 train, 60 test."""
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", "synthetic:300", "--output", home).code == 0
    return home


@pytest.mark.parametrize("scope", ["dataset", "image"])
@pytest.mark.parametrize("labels", [[], ["--hide-labels"]])
def test_round_trip(lpe, keystore, plain, tmp_path, scope, labels):
    home, back = tmp_path / "enc" / "shapes", tmp_path / "back" / "shapes"
    made = encrypt(lpe, keystore, f"dataset:{plain}", home, "--scope", scope, *labels)
    assert made.code == 0, made.err
    assert made.json["dataset"] == f"{home}/1.0.0"
    assert made.json["splits"]["train"]["examples"] == 300
    assert made.json["scope"] == scope
    encrypted, original = contents(home), contents(plain)
    assert encrypted.keys() == original.keys()
    assert all(encrypted[name][0] != original[name][0] for name in original)
    hidden = open_dataset(str(home)).class_names
    assert (hidden == tuple("0123456789")) == bool(labels)
    assert all(encrypted[name][1] == original[name][1] for name in original) == (not labels)

    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore).code == 0
    assert contents(back) == original
    assert open_dataset(str(back)).class_names == open_dataset(str(plain)).class_names
    checked = lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}", "--json")
    assert checked.code == 0
    assert checked.json["ok"] is True
    assert checked.json["compared"] is True
    assert checked.json["examples"] == 360


def test_encrypting_straight_from_a_source_equals_ingesting_first(lpe, keystore, plain, tmp_path):
    assert encrypt(lpe, keystore, "synthetic:300", tmp_path / "enc" / "shapes").code == 0
    assert (
        lpe(
            *("decrypt", "--source", f"dataset:{tmp_path}/enc/shapes", "--output", tmp_path / "b" / "shapes"),
            *("--keystore", keystore),
        ).code
        == 0
    )
    assert contents(tmp_path / "b" / "shapes") == contents(plain)


def test_the_same_job_gives_the_same_bytes_anywhere(lpe, keystore, plain, tmp_path):
    assert encrypt(lpe, keystore, f"dataset:{plain}", tmp_path / "one" / "shapes").code == 0
    shutil.copytree(tmp_path / "keys", tmp_path / "moved" / "keys")
    shutil.copytree(plain, tmp_path / "moved" / "plain")
    moved = tmp_path / "moved"
    assert encrypt(lpe, moved / "keys", f"dataset:{moved}/plain", tmp_path / "two" / "shapes").code == 0
    assert files(tmp_path / "one" / "shapes") == files(tmp_path / "two" / "shapes")


def test_ids_are_neutral_and_their_map_stays_with_the_plain_data(lpe, keystore, plain, tmp_path):
    table = pq.read_table(plain / "1.0.0" / "ids.parquet").to_pydict()
    assert sorted(table["id"])[0] == "test-0000000"
    assert set(table["id"]) == contents(plain).keys()
    assert {name.split("/")[0] for name in table["name"]} == {"train", "test"}
    home = tmp_path / "enc" / "shapes"
    assert encrypt(lpe, keystore, "synthetic:300", home).code == 0
    assert not list(home.rglob("*.parquet"))
    named = tmp_path / "named" / "shapes"
    assert lpe("ingest", "--source", "synthetic:300", "--output", named, "--keep-ids").code == 0
    assert set(contents(named)) == set(table["name"])


def test_the_validation_cut_is_even_deterministic_and_complete(lpe, tmp_path, plain):
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
            *(pq.read_table(plain / "1.0.0" / "ids.parquet")[c].to_pylist() for c in ("id", "name")),
            strict=True,
        )
    )
    by_origin = {whole[name]: value for name, value in contents(plain).items()}
    assert {origins[name]: value for name, value in contents(cut).items()} == by_origin
    assert len(set(origins.values())) == 360


def test_doing_it_again_does_nothing(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    first = encrypt(lpe, keystore, f"dataset:{plain}", home)
    before = files(home)
    again = encrypt(lpe, keystore, f"dataset:{plain}", home)
    assert (first.json["status"], again.json["status"], again.code) == ("ok", "skipped", 0)
    assert files(home) == before


def test_other_settings_make_the_next_version_and_readers_get_the_newest(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    assert (
        encrypt(lpe, keystore, f"dataset:{plain}", home, "--cipher", "lpe-50")
        .json["dataset"]
        .endswith("1.0.1")
    )
    assert open_dataset(str(home)).encryption["cipher"] == "lpe-50"
    assert open_dataset(f"{home}/1.0.0").encryption["cipher"] == "lpe-100"


def test_a_rotated_key_makes_the_next_version_and_the_old_one_stays_readable(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    old = encrypt(lpe, keystore, f"dataset:{plain}", home).json["key"]["id"]
    KeyStore(keystore).rotate("patients")
    new = encrypt(lpe, keystore, f"dataset:{plain}", home).json
    assert new["dataset"].endswith("1.0.1")
    assert new["key"]["id"] != old
    for version in ("1.0.0", "1.0.1"):
        checked = lpe("verify", f"{home}/{version}", "--keystore", keystore, "--against", f"dataset:{plain}")
        assert checked.code == 0, checked.err


# ---------------------------------------------------------------- killed and run again


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_killed_job_run_again_ends_in_the_same_bytes_and_redoes_nothing_finished(lpe, tmp_path, sign, code):
    words = ("ingest", "--source", "synthetic:12000", "--output")
    home = tmp_path / "a" / "shapes"
    process = start(*words, home)
    wait_for_receipts(home, 2, process)
    process.send_signal(sign)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    if sign == signal.SIGINT:
        assert err.strip() == "lpe: interrupted; run the same command again to continue where it stopped"
    assert not (home / "1.0.0").exists()
    receipts = list(home.glob("_work/*/receipts/[!.]*.json"))
    stamps = {}
    for receipt in receipts:
        shard = json.loads(receipt.read_text())["shard"]["file"]
        stamps[shard] = (receipt.parents[1] / "data" / shard).stat().st_mtime_ns
    again = lpe(*words, home, "--json")
    assert again.code == 0
    assert again.json["metrics"]["kept_shards"] == len(receipts)
    assert again.json["metrics"]["images"] == 14_400
    for shard, stamp in stamps.items():
        assert (home / "1.0.0" / shard).stat().st_mtime_ns == stamp
    whole = tmp_path / "b" / "shapes"
    assert lpe(*words, whole).code == 0
    assert files(home) == files(whole)
    assert not (home / "_work").exists()


def test_two_jobs_on_one_home_do_not_mix(lpe, tmp_path):
    home = tmp_path / "a" / "shapes"
    process = start("ingest", "--source", "synthetic:12000", "--output", home)
    wait_for_receipts(home, 1, process)
    second = lpe("ingest", "--source", "synthetic:12000", "--output", home)
    assert process.wait(60) == 0
    assert second.code == 1
    assert "another job is writing here" in second.err
    assert lpe("verify", home).code == 0


def test_an_unfinished_other_job_is_not_mixed_in(lpe, tmp_path):
    home = tmp_path / "a" / "shapes"
    process = start("ingest", "--source", "synthetic:12000", "--output", home)
    wait_for_receipts(home, 1, process)
    process.kill()
    process.communicate()
    other = lpe("ingest", "--source", "synthetic:500", "--output", home)
    assert other.code == 1
    assert "unfinished job with other settings" in other.err
    assert str(home / "_work") in other.err


def test_what_a_job_given_up_still_writes_gets_into_no_other_jobs_version(lpe, keystore, tmp_path):
    """Workers elsewhere may go on after their launcher, and its plan, are gone."""
    home, fresh = tmp_path / "a" / "shapes", tmp_path / "b" / "shapes"
    process = start(*encrypting(keystore, "synthetic:12000", home))
    receipts = wait_for_receipts(home, 2, process)
    process.kill()
    process.communicate()
    (receipts[0].parents[1] / "plan.json").unlink()
    for place in (home, fresh):
        assert encrypt(lpe, keystore, "synthetic:12000", place, "--cipher", "le").code == 0
    assert files(home) == files(fresh)


def test_a_version_is_not_published_without_its_shards(lpe, tmp_path):
    home = tmp_path / "a" / "shapes"
    process = start("ingest", "--source", "synthetic:12000", "--output", home)
    receipt = wait_for_receipts(home, 1, process)[0]
    process.kill()
    process.communicate()
    shard = json.loads(receipt.read_text())["shard"]["file"]
    (receipt.parents[1] / "data" / shard).unlink()
    refused(
        lpe("ingest", "--source", "synthetic:12000", "--output", home), "shards are gone", shard, "delete"
    )
    assert not (home / "1.0.0").exists()


# ---------------------------------------------------------------- bad input


def test_sources_that_are_none(lpe, tmp_path):
    home = tmp_path / "a" / "shapes"
    refused(lpe("ingest", "--source", "dataset:nowhere", "--output", home), "nowhere", "check the path")
    refused(lpe("ingest", "--source", "zip:x", "--output", home), "unknown source 'zip:x'", "folder:PATH")
    refused(lpe("ingest", "--source", "synthetic:none", "--output", home), "synthetic:none", "whole number")
    assert not (tmp_path / "a").exists()


def test_ciphers_and_options_that_are_none(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    words = encrypting(keystore, f"dataset:{plain}", home)
    refused(lpe(*words, "--cipher", "rot13"), "unknown cipher 'rot13'", "lpe-100")
    refused(lpe(*words, "--param", "chain=zigzag"), "raster or row")
    refused(lpe(*words, "--param", "chain"), "NAME=VALUE", code=2)
    refused(lpe(*words, "--validation-fraction", "0.1"), "when it is ingested", code=2)
    refused(lpe(*words, "--cypher", "lpe-50"), "--cypher", code=2)
    refused(lpe(*words, "--runner=NoSuchRunner"), "NoSuchRunner")
    refused(
        lpe("ingest", "--source", "synthetic:50", "--output", home, "--validation-fraction", "1.5"), code=2
    )
    refused(lpe("ingest", "--source", "synthetic:50", "--output", home, "--image-size", "big"), code=2)
    assert not home.exists()


def test_names_that_tfds_would_not_take(lpe, tmp_path):
    refused(
        lpe("ingest", "--source", "synthetic:50", "--output", tmp_path / "my-data"),
        "'my-data'",
        "underscores",
    )


def test_an_output_that_holds_something_else_is_left_alone(lpe, keystore, plain, tmp_path):
    home = tmp_path / "a" / "shapes"
    lpe("ingest", "--source", "synthetic:200", "--output", home)
    before = files(home)
    refused(lpe("ingest", "--source", "synthetic:100", "--output", home), "holds a different dataset")
    refused(lpe("ingest", "--source", "synthetic:200", "--output", home / "1.0.0"), str(home / "1.0.0"))
    assert files(home) == before
    encrypted = encrypt(lpe, keystore, f"dataset:{home}", home)
    assert "different dataset" in encrypted.json["error"]
    junk = tmp_path / "junk"
    junk.mkdir()
    (junk / "holiday.jpg").write_bytes(b"x")
    refused(lpe("ingest", "--source", "synthetic:100", "--output", junk), "files that are no dataset")
    file = tmp_path / "file"
    file.write_bytes(b"x")
    refused(lpe("ingest", "--source", "synthetic:100", "--output", file), "a file stands where")
    assert files(junk) == {"holiday.jpg": b"x"}
    assert file.read_bytes() == b"x"


def test_wrong_keys_are_refused_before_a_pixel_is_touched(lpe, keystore, plain, tmp_path):
    home, back = tmp_path / "enc" / "shapes", tmp_path / "back" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    words = ("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore")
    refused(lpe(*words, tmp_path / "none"), "no such keyset")
    other = str(tmp_path / "other")
    KeyStore(other).create("patients")
    refused(lpe(*words, other), "another keyset of the same name")
    refused(lpe("verify", home, "--keystore", other), "another keyset of the same name")
    store = KeyStore(keystore)
    key_id = store.rotate("patients")[0].id
    store.disable("patients", key_id)
    refused(lpe(*words, keystore), f"key {key_id}", "disabled")
    refused(lpe("keys", "destroy", "patients", key_id, "--keystore", keystore), "in use", str(home))
    assert lpe("keys", "destroy", "patients", key_id, "--keystore", keystore, "--force").code == 0
    refused(lpe(*words, keystore), f"key {key_id}", "destroyed")
    assert not back.exists()


def test_the_wrong_kind_of_dataset_is_refused(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    refused(
        lpe("decrypt", "--source", f"dataset:{plain}", "--output", tmp_path / "x", "--keystore", keystore),
        "not an",
    )
    refused(lpe("ingest", "--source", f"dataset:{home}", "--output", tmp_path / "x"), "lpe decrypt")
    twice = encrypt(lpe, keystore, f"dataset:{home}", tmp_path / "x")
    assert "encrypted already" in twice.json["error"]
    refused(lpe("verify", home, "--against", f"dataset:{plain}"), "--keystore")
    refused(lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{home}"), "name a plain one")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-100]), "cut off"),
        (lambda p: p.write_bytes(p.read_bytes()[: len(p.read_bytes()) // 2 - 7]), "cut off"),
        (lambda p: p.write_bytes(b""), "0 records"),
        (lambda p: p.unlink(), "missing"),
        (lambda p: p.write_bytes(flipped(p.read_bytes(), 5000)), "checksum does not match"),
        (lambda p: p.write_bytes(flipped(p.read_bytes(), 3)), "length of record 0 is damaged"),
        (lambda p: shutil.copy(str(p).replace("00001-of", "00000-of"), p), "checksum"),
    ],
)
def test_a_damaged_shard_is_named_and_nothing_is_published(lpe, keystore, plain, tmp_path, spoil, message):
    shard = plain / "1.0.0" / "shapes-train.tfrecord-00001-of-00004"
    spoil(shard)
    home = tmp_path / "enc" / "shapes"
    words = encrypting(keystore, f"dataset:{plain}", home)
    refused(lpe(*words), str(shard), message)
    assert not (home / "1.0.0").exists()
    checked = lpe("verify", plain, "--json")
    assert checked.code == 1
    assert checked.json["ok"] is False
    assert message in checked.json["problems"][0]


def test_a_repaired_shard_lets_the_job_continue(lpe, keystore, plain, tmp_path):
    shard = plain / "1.0.0" / "shapes-train.tfrecord-00001-of-00004"
    good = shard.read_bytes()
    shard.write_bytes(flipped(good, 5000))
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    shard.write_bytes(good)
    assert encrypt(lpe, keystore, f"dataset:{plain}", home).json["status"] == "ok"
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0


def test_a_damaged_record_can_be_skipped_and_is_listed(lpe, keystore, plain, tmp_path, caplog):
    shard = plain / "1.0.0" / "shapes-train.tfrecord-00001-of-00004"
    shard.write_bytes(flipped(shard.read_bytes(), 5000))
    home = tmp_path / "enc" / "shapes"
    made = encrypt(lpe, keystore, f"dataset:{plain}", home, "--on-bad-record", "skip")
    assert made.json["bad_records"] == 1
    assert made.json["splits"]["train"]["examples"] == 299
    (line,) = (home / "1.0.0" / "bad_records.jsonl").read_text().splitlines()
    assert json.loads(line) == {"where": "train shard 1", "reason": "its checksum does not match"}
    assert f"{shard}: record 1" in caplog.text
    assert lpe("verify", home, "--keystore", keystore).code == 0


@pytest.mark.parametrize("name", ["features.json", "encryption.json", "dataset_info.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b'{"format_version": 1}', b"\xff\xfe"])
def test_damaged_metadata_is_named(lpe, keystore, plain, tmp_path, name, content):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    (home / "1.0.0" / name).write_bytes(content)
    refused(lpe("verify", home, "--keystore", keystore), str(home / "1.0.0"), "damaged")


def test_a_changed_image_that_is_whole_is_found_by_comparing(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    other = tmp_path / "other" / "shapes"
    lpe("ingest", "--source", "synthetic:301", "--output", other)
    refused(
        lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{other}"),
        "differ in splits or shards",
    )
    # The same counts, other pixels.
    twisted = tmp_path / "twisted" / "shapes"
    shutil.copytree(plain, twisted)
    lpe("encrypt", "--source", f"dataset:{plain}", "--output", tmp_path / "p" / "shapes", "--cipher", "plain",
        "--keystore", keystore, "--key", "patients", "--hide-labels")  # fmt: skip
    checked = lpe(
        "verify", tmp_path / "p" / "shapes", "--keystore", keystore, "--against", f"dataset:{plain}", "--json"
    )
    assert checked.json["ok"] is True
    shard = twisted / "1.0.0" / "shapes-train.tfrecord-00001-of-00004"
    from lpe.pipeline import records  # noqa: PLC0415
    from lpe.pipeline.records import tfrecord  # noqa: PLC0415

    fmt = open_dataset(str(twisted)).format
    with shard.open("rb") as file:
        batches = list(records.decode(file, fmt, where="", on_damage=lambda *_: None))
    images = batches[0].images.copy()
    images[7, 0, 0, 0] ^= 1
    data = records.encode(batches[0].replace_images(images), fmt)
    shard.write_bytes(data)
    manifest = json.loads((twisted / "1.0.0" / "manifest.json").read_text())
    manifest["shards"]["train"][1]["crc32c"] = f"{tfrecord.extend_crc32c(0, data):08x}"
    (twisted / "1.0.0" / "manifest.json").write_text(json.dumps(manifest))
    checked = lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{twisted}", "--json")
    assert checked.code == 1
    assert "train shard 1: 1 of 75 examples" in checked.json["problems"][0]
    assert batches[0].ids[7] in checked.json["problems"][0]


def test_a_full_disk_is_one_line_and_the_next_run_continues(lpe, tmp_path, monkeypatch):
    home = tmp_path / "a" / "shapes"
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    refused(
        lpe("ingest", "--source", "synthetic:600", "--output", home),
        "data/shapes-",
        "No space left",
        "finished shards are kept",
    )
    assert not (home / "1.0.0").exists()
    assert not list(home.rglob(".tmp-*"))
    monkeypatch.undo()
    assert lpe("ingest", "--source", "synthetic:600", "--output", home).code == 0


def test_a_place_that_cannot_be_written_is_one_line(lpe, tmp_path, monkeypatch):
    def read_only(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "disk")

    monkeypatch.setattr(os, "open", read_only)
    refused(
        lpe("ingest", "--source", "synthetic:60", "--output", tmp_path / "a" / "shapes"),
        "read-only",
        "another",
    )


def test_images_of_many_shapes_survive(lpe, keystore, tmp_path):
    from PIL import Image  # noqa: PLC0415

    rng = np.random.default_rng(0)
    for split, count in (("train", 30), ("test", 5)):
        for i in range(count):
            folder = tmp_path / "images" / split / f"class{i % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (8 + i % 4, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    plain, home, back = (tmp_path / part / "shapes" for part in ("plain", "enc", "back"))
    source = f"folder:{tmp_path}/images"
    refused(lpe("ingest", "--source", source, "--output", plain), "--image-size")
    assert lpe("ingest", "--source", source, "--output", plain, "--image-size", "any").code == 0
    assert encrypt(lpe, keystore, f"dataset:{plain}", home).code == 0
    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore).code == 0
    assert contents(back) == contents(plain)
    assert contents(home) != contents(plain)
    assert open_dataset(str(home)).image_shape is None
