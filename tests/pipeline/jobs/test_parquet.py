"""Jobs that write Parquet: the guarantees of TFRecord, and the same images in both."""

from __future__ import annotations

import json
import shutil
import signal

import numpy as np
import pytest
from PIL import Image

from lpe.data import Shards
from lpe.pipeline.dataset import open_dataset
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

PARQUET = ("--format", "parquet")


@pytest.fixture
def enc(lpe, keystore, plain300, tmp_path):
    """plain300, encrypted into Parquet, with copies."""
    home = tmp_path / "enc" / "shapes"
    made = encrypt(lpe, keystore, f"dataset:{plain300}", home, *PARQUET, "--augment", "flip")
    assert made.code == 0
    return home


def shards(home, version="1.0.0"):
    return {name: data for name, data in files(home / version).items() if "-of-" in name}


def test_there_and_back_are_the_same_bytes(lpe, plain300, tmp_path):
    there, back, again = (tmp_path / name / "shapes" for name in ("there", "back", "again"))
    assert lpe("ingest", "--source", f"dataset:{plain300}", "--output", there, *PARQUET).code == 0
    assert lpe("ingest", "--source", f"dataset:{there}", "--output", back).code == 0
    assert shards(back) == shards(plain300)
    assert (back / "1.0.0" / "label.labels.txt").read_bytes() == (
        plain300 / "1.0.0/label.labels.txt"
    ).read_bytes()
    assert sorted(shards(there)) == [
        "shapes-test-00000-of-00001.parquet",
        *(f"shapes-train-0000{i}-of-00004.parquet" for i in range(4)),
    ]
    # The same bytes again from the source itself, and the same job does nothing.
    assert lpe("ingest", "--source", "synthetic:300", "--output", again, *PARQUET).code == 0
    assert shards(again) == shards(there)
    assert lpe("ingest", "--source", "synthetic:300", "--output", again, *PARQUET, "--json").json[
        "status"
    ] == ("skipped")
    # In the other kind of files it is another version.
    other = lpe("ingest", "--source", "synthetic:300", "--output", again, "--json").json
    assert other["dataset"].endswith("1.0.1")
    assert contents(again / "1.0.0") == contents(again / "1.0.1") == contents(plain300)


def test_images_of_many_sizes_too(lpe, tmp_path):
    for i, size in enumerate([(4, 5), (7, 3), (4, 5)]):
        for label in ("cat", "dog"):
            path = tmp_path / "photos" / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    source = ("--source", f"folder:{tmp_path / 'photos'}", "--image-size", "any")
    plain, there, back = (tmp_path / name / "photos" for name in ("plain", "there", "back"))
    assert lpe("ingest", *source, "--output", plain).code == 0
    assert lpe("ingest", *source, "--output", there, *PARQUET).code == 0
    assert lpe("ingest", "--source", f"dataset:{there}", "--output", back).code == 0
    assert shards(back) == shards(plain)


def test_encrypted_verified_reencrypted_decrypted(lpe, keystore, plain300, enc, tmp_path):
    checked = lpe("verify", enc, "--keystore", keystore, "--against", plain300, "--json")
    assert checked.json["compared"]
    assert checked.json["examples"] == 660
    assert lpe("keys", "rotate", "patients", "--keystore", keystore).code == 0
    again = lpe("reencrypt", enc, "--keystore", keystore, "--json")
    assert again.code == 0
    assert open_dataset(str(enc)).version == "1.0.1"
    assert open_dataset(str(enc)).format.file_format == "parquet"
    assert (enc / "1.0.0" / "retired.json").exists()
    assert shards(enc) != shards(enc, "1.0.1")
    assert lpe("verify", enc, "--keystore", keystore, "--against", plain300).code == 0
    for name, options in (("rows", PARQUET), ("records", ())):
        home = tmp_path / name / "shapes"
        words = ("decrypt", "--source", enc, "--output", home, "--keystore", keystore, *options)
        assert lpe(*words).code == 0
        assert {split: s.examples for split, s in open_dataset(str(home)).splits.items()} == {
            "train": 300,
            "test": 60,
            "train_augmented_1": 300,
        }
        assert lpe("verify", home, "--against", plain300, "--json").json["compared"]


def test_sealed_and_unsealed(lpe, keystore, plain300, tmp_path):
    sealed, opened, direct = (tmp_path / name / "shapes" for name in ("sealed", "opened", "direct"))
    source = f"dataset:{plain300}"
    assert encrypt(lpe, keystore, source, sealed, *PARQUET, "--seal").code == 0
    assert lpe("verify", sealed, "--keystore", keystore, "--against", plain300).code == 0
    key = tmp_path / "data.key"
    words = ("keys", "export", "patients", "--keystore", keystore, "--dataset", sealed, "--output", key)
    assert lpe(*words).code == 0
    assert lpe("unseal", "--source", sealed, "--output", opened, "--data-key", key).code == 0
    data = open_dataset(str(opened))
    assert (data.format.file_format, data.sealed) == ("parquet", False)
    assert lpe("verify", opened, "--keystore", keystore, "--against", plain300).code == 0
    assert encrypt(lpe, keystore, source, direct).code == 0
    assert contents(opened).keys() == contents(direct).keys()


def test_shown_counted_attacked_and_trained_on(lpe, keystore, plain300, enc, tmp_path):
    picture = tmp_path / "grid.png"
    assert lpe("show", enc, "--keystore", keystore, "--images", "3", "--output", picture).code == 0
    assert picture.exists()
    assert lpe("stats", "--source", f"dataset:{plain300}", "--json").code == 0
    words = ("--adversary", "ciphertext-only", "--images", "40", "--output", tmp_path / "audit")
    assert lpe("audit", enc, "--keystore", keystore, *words).code == 0
    assert lpe("decrypt", "--source", enc, "--output", tmp_path / "back", "--keystore", keystore).code == 0
    rows, plain = Shards(str(enc), ids=True), Shards(str(tmp_path / "back"), ids=True)
    ours, labels, ids = rows.take(range(len(rows)))
    theirs, *same = plain.take(range(len(plain)))
    assert (labels.tolist(), ids) == (same[0].tolist(), same[1])
    assert ours.shape == theirs.shape
    assert not np.array_equal(ours, theirs)
    in_order = [batch for batch, _, _ in rows]
    assert np.array_equal(np.concatenate(in_order), ours)


def test_a_dry_run_forecasts_its_size(lpe, plain300, tmp_path):
    source = ("--source", f"dataset:{plain300}")
    told = lpe("encrypt", "--dry-run", *source, *PARQUET, "--json").json
    written = sum(len(data) for data in shards(plain300).values())
    assert sum(split["bytes"] for split in told["splits"].values()) == pytest.approx(written, rel=0.05)


def test_killed_and_run_again_it_ends_in_the_same_bytes(lpe, tmp_path):
    words = ("ingest", "--source", "synthetic:4000", *PARQUET, "--output")
    home, whole = tmp_path / "a" / "shapes", tmp_path / "b" / "shapes"
    process = start(*words, home)
    kept = wait_for_receipts(home, 1, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert not (home / "1.0.0").exists()
    again = lpe(*words, home, "--json")
    assert again.json["metrics"]["kept_shards"] >= len(kept)
    assert lpe(*words, whole, "--workers", "1").code == 0
    assert files(home) == files(whole)


def test_damage_is_told_and_nothing_is_made_of_it(lpe, keystore, enc, tmp_path):
    version = enc / "1.0.0"
    shard = next(version.glob("shapes-train-00000*.parquet"))
    good, to = shard.read_bytes(), tmp_path / "back" / "shapes"
    decrypt = ("decrypt", "--source", enc, "--output", to, "--keystore", keystore)
    for bad, said in (
        (flipped(good, 5000), "checksum"),
        (flipped(good, len(good) - 20), shard.name),
        (good[:-100], "damaged at its end"),
        (good[: len(good) // 2], "damaged at its end"),
        (b"", "cut off"),
        (next(version.glob("shapes-test*.parquet")).read_bytes(), "records"),
    ):
        shard.write_bytes(bad)
        refused(lpe(*decrypt), shard.name, said)
        refused(lpe(*decrypt, "--on-bad-record", "skip"), shard.name)
        checked = lpe("verify", enc, "--keystore", keystore)
        assert checked.code == 1
        assert shard.name in checked.out + checked.err
    shard.unlink()
    refused(lpe(*decrypt), shard.name, "missing")
    shard.write_bytes(good)
    card = version / "README.md"
    card.write_text(card.read_text().replace("shapes-test", "../other"))
    refused(lpe(*decrypt), "README.md", "checksum")
    assert not (to / "1.0.0").exists()


def test_tfds_own_parquet_is_not_taken_for_ours(lpe, plain300, tmp_path):
    there = tmp_path / "there" / "shapes"
    assert lpe("ingest", "--source", f"dataset:{plain300}", "--output", there, *PARQUET).code == 0
    shutil.copytree(there / "1.0.0", tmp_path / "bare")
    (tmp_path / "bare" / "manifest.json").unlink()
    refused(lpe("verify", tmp_path / "bare"), "its files are 'parquet'", "read it as tfds:shapes")
    info = json.loads((there / "1.0.0" / "dataset_info.json").read_text())
    assert info["fileFormat"] == "parquet"


def test_what_is_left_out_is_no_file(lpe, keystore, tmp_path):
    words = encrypting(keystore, "synthetic:20", tmp_path / "enc" / "shapes")
    refused(lpe(*words, "--format", "csv"), "csv", code=2)
