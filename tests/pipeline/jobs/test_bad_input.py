"""Bad sources, options, keys, shards, metadata and disks: each is one clear line, and nothing is half-published."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat

import numpy as np
import pytest

from lpe.pipeline import records
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.keystore import KeyStore
from tests.pipeline.dataset.making import rewrite_shard
from tests.pipeline.running import (
    contents,
    encrypt,
    encrypting,
    files,
    flipped,
    refused,
)


def test_sources_that_are_none(lpe, tmp_path):
    home = tmp_path / "a" / "shapes"
    refused(lpe("ingest", "--source", "dataset:nowhere", "--output", home), "nowhere", "check the path")
    refused(lpe("ingest", "--source", "zip:x", "--output", home), "unknown source 'zip:x'", "folder:PATH")
    refused(lpe("ingest", "--source", "synthetic:none", "--output", home), "synthetic:none", "whole number")
    assert not (tmp_path / "a").exists()


def test_ciphers_and_options_that_are_none(lpe, keystore, plain300, tmp_path):
    home = tmp_path / "enc" / "shapes"
    words = encrypting(keystore, f"dataset:{plain300}", home)
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


def test_an_output_that_holds_something_else_is_left_alone(lpe, keystore, plain300, tmp_path):
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


def test_wrong_keys_are_refused_before_a_pixel_is_touched(lpe, keystore, plain300, tmp_path):
    home, back = tmp_path / "enc" / "shapes", tmp_path / "back" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain300}", home)
    words = ("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore")
    refused(lpe(*words, tmp_path / "none"), "no key store here")
    key_id = KeyStore(keystore).keys("patients")[0].id
    strange = str(tmp_path / "strange")
    KeyStore(strange).create("doctors")
    for command in (
        (*words, strange),
        ("verify", home, "--keystore", strange),
        ("reencrypt", home, "--keystore", strange),
        ("show", home, "--keystore", strange, "--output", tmp_path / "grid.png"),
    ):
        told = (f"{strange}: not the key store", f"key {key_id} of keyset 'patients'", "here is 'doctors';")
        outcome = lpe(*command)
        refused(outcome, *told)
        assert "create" not in outcome.err
    other = str(tmp_path / "other")
    KeyStore(other).create("patients")
    refused(lpe(*words, other), "another keyset of the same name")
    refused(lpe("verify", home, "--keystore", other), "another keyset of the same name")
    store = KeyStore(keystore)
    store.rotate("patients")
    store.disable("patients", key_id)
    refused(lpe(*words, keystore), f"key {key_id}", "disabled")
    refused(lpe("keys", "destroy", "patients", key_id, "--keystore", keystore), "in use", str(home))
    assert lpe("keys", "destroy", "patients", key_id, "--keystore", keystore, "--force").code == 0
    refused(lpe(*words, keystore), f"key {key_id}", "destroyed")
    assert not back.exists()


def test_the_wrong_kind_of_dataset_is_refused(lpe, keystore, plain300, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain300}", home)
    refused(
        lpe("decrypt", "--source", f"dataset:{plain300}", "--output", tmp_path / "x", "--keystore", keystore),
        "not an",
    )
    refused(lpe("ingest", "--source", f"dataset:{home}", "--output", tmp_path / "x"), "lpe decrypt")
    twice = encrypt(lpe, keystore, f"dataset:{home}", tmp_path / "x")
    assert "encrypted already" in twice.json["error"]
    refused(lpe("verify", home, "--against", f"dataset:{plain300}"), "--keystore")
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
def test_a_damaged_shard_is_named_and_nothing_is_published(lpe, keystore, plain300, tmp_path, spoil, message):
    shard = plain300 / "1.0.0" / "shapes-train.tfrecord-00001-of-00004"
    spoil(shard)
    home = tmp_path / "enc" / "shapes"
    words = encrypting(keystore, f"dataset:{plain300}", home)
    refused(lpe(*words), str(shard), message)
    assert not (home / "1.0.0").exists()
    checked = lpe("verify", plain300, "--json")
    assert checked.code == 1
    assert checked.json["ok"] is False
    assert message in checked.json["problems"][0]


def test_a_repaired_shard_lets_the_job_continue(lpe, keystore, plain300, tmp_path):
    shard = plain300 / "1.0.0" / "shapes-train.tfrecord-00001-of-00004"
    good = shard.read_bytes()
    shard.write_bytes(flipped(good, 5000))
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain300}", home)
    shard.write_bytes(good)
    assert encrypt(lpe, keystore, f"dataset:{plain300}", home).json["status"] == "ok"
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain300}").code == 0


def test_a_damaged_record_can_be_skipped_and_is_listed(lpe, keystore, plain300, tmp_path, caplog):
    shard = plain300 / "1.0.0" / "shapes-train.tfrecord-00001-of-00004"
    shard.write_bytes(flipped(shard.read_bytes(), 5000))
    home = tmp_path / "enc" / "shapes"
    made = encrypt(lpe, keystore, f"dataset:{plain300}", home, "--on-bad-record", "skip")
    assert made.json["bad_records"] == 1
    assert made.json["splits"]["train"]["examples"] == 299
    (line,) = (home / "1.0.0" / "bad_records.jsonl").read_text().splitlines()
    assert json.loads(line) == {"where": "train shard 1", "reason": "its checksum does not match"}
    assert f"{shard}: record 1" in caplog.text
    assert lpe("verify", home, "--keystore", keystore).code == 0


@pytest.mark.parametrize("name", ["features.json", "encryption.json", "dataset_info.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b'{"format_version": 1}', b"\xff\xfe"])
def test_damaged_metadata_is_named(lpe, keystore, plain300, tmp_path, name, content):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain300}", home)
    (home / "1.0.0" / name).write_bytes(content)
    refused(lpe("verify", home, "--keystore", keystore), str(home / "1.0.0"), "damaged")


def test_a_changed_image_that_is_whole_is_found_by_comparing(lpe, keystore, plain300, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain300}", home)
    other = tmp_path / "other" / "shapes"
    lpe("ingest", "--source", "synthetic:301", "--output", other)
    refused(
        lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{other}"),
        "differ in splits or shards",
    )
    # The same counts, other pixels.
    twisted = tmp_path / "twisted" / "shapes"
    shutil.copytree(plain300, twisted)
    lpe("encrypt", "--source", f"dataset:{plain300}", "--output", tmp_path / "p" / "shapes", "--cipher", "plain",
        "--keystore", keystore, "--key", "patients", "--hide-labels")  # fmt: skip
    checked = lpe(
        "verify",
        tmp_path / "p" / "shapes",
        "--keystore",
        keystore,
        "--against",
        f"dataset:{plain300}",
        "--json",
    )
    assert checked.json["ok"] is True
    shard = twisted / "1.0.0" / "shapes-train.tfrecord-00001-of-00004"
    fmt = open_dataset(str(twisted)).format
    with shard.open("rb") as file:
        batches = list(records.decode(file, fmt, where="", on_bad_record=lambda *_: None))
    images = batches[0].images.copy()
    images[7, 0, 0, 0] ^= 1
    data = records.encode(batches[0].replace_images(images), fmt)
    rewrite_shard(twisted / "1.0.0", "train", 1, data)
    checked = lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{twisted}", "--json")
    assert checked.code == 1
    assert "train shard 1: 1 of 75 examples" in checked.json["problems"][0]
    assert batches[0].ids[7] in checked.json["problems"][0]


def test_a_full_disk_is_one_line_and_the_next_run_continues(lpe, tmp_path, monkeypatch):
    home = tmp_path / "a" / "shapes"
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
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
    first, *others, last = lpe("ingest", "--source", source, "--output", plain).err.splitlines()
    assert "--image-size any" in first
    assert not any("--image-size" in other for other in others)  # once is enough
    assert last == "  and 5 more"
    assert lpe("ingest", "--source", source, "--output", plain, "--image-size", "any").code == 0
    assert encrypt(lpe, keystore, f"dataset:{plain}", home).code == 0
    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore).code == 0
    assert contents(back) == contents(plain)
    assert contents(home) != contents(plain)
    assert open_dataset(str(home)).image_shape is None
