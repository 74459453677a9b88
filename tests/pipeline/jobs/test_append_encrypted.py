"""lpe encrypt --append: an encrypted dataset that grows, under its key."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

import lpe as api
from lpe.pipeline.dataset import open_dataset
from tests.pipeline.jobs.numbered_images import draw
from tests.pipeline.running import contents, encrypt, files, flipped
from tests.tamper import editing


@pytest.fixture
def photos(tmp_path) -> Path:
    return draw(tmp_path / "photos", range(20))


@pytest.fixture
def plain(lpe, photos, tmp_path) -> Path:
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", f"folder:{photos}", "--output", home).code == 0
    return home


@pytest.fixture
def enc(tmp_path) -> Path:
    return tmp_path / "enc" / "shapes"


@pytest.fixture
def grow(lpe, photos, plain):
    """Adds images to the plain dataset."""

    def more(numbers: range, *words: object, **how: object) -> None:
        draw(photos, numbers, **how)
        assert lpe("ingest", "--source", f"folder:{photos}", "--output", plain, "--append", *words).code == 0

    return more


@pytest.fixture
def made(lpe, keystore, enc):
    """Encrypts, and checks all that can be checked."""

    def run(source: object, *words: object) -> dict:
        uri = source if ":" in str(source) else f"dataset:{source}"
        outcome = encrypt(lpe, keystore, uri, enc, *words)
        assert outcome.code == 0, outcome
        against = () if str(uri).startswith("folder") else ("--against", source)
        verified = lpe("verify", enc, "--keystore", keystore, "--json", *against)
        assert verified.code == 0, verified
        return outcome.json

    return run


def shards(home: Path) -> dict[str, bytes]:
    directory = Path(open_dataset(str(home)).directory)
    return {name: content for name, content in files(directory).items() if "-of-" in name}


@pytest.mark.parametrize(
    "how",
    [
        ("--scope", "image", "--augment", "flip", "--copies", "2"),
        ("--hide-labels",),
        ("--seal", "--cipher", "cpbe-100"),
        ("--format", "parquet"),
    ],
    ids=["a key per image, with copies", "labels hidden", "sealed", "parquet"],
)
def test_what_was_added_to_the_plain_dataset_is_added_again_and_again(
    lpe, keystore, plain, enc, grow, made, how, tmp_path
):
    made(plain, *how)
    before = shards(enc)
    for count, numbers in enumerate((range(20, 23), range(23, 24)), start=1):
        grow(numbers)
        value = made(plain, "--append")
        assert value["status"] == "ok"
        assert Path(value["dataset"]).name == f"1.0.{count}"
        assert value["metrics"]["kept_shards"] >= count
    assert made(plain, "--append")["status"] == "skipped"
    assert {*before.values()} < {*shards(enc).values()}
    assert open_dataset(str(enc)).numbers["train"] == 24
    back = tmp_path / "back" / "shapes"
    assert lpe("decrypt", "--source", enc, "--output", back, "--keystore", keystore).code == 0
    if "--augment" not in how and "parquet" not in how:
        assert shards(back) == shards(plain)
    assert open_dataset(str(back)).numbers["train"] == 24


def test_a_folder_that_has_grown_is_compared_by_pixels(lpe, keystore, photos, enc, made, tmp_path):
    made(f"folder:{photos}", "--scope", "image", "--hide-labels")
    for last in (23, 24):
        draw(photos, range(20, last))
        value = made(f"folder:{photos}", "--append")
        assert value["left_out"] == {"known": 20 if last == 23 else 23, "repeated": 0}
    assert made(f"folder:{photos}", "--append")["status"] == "skipped"
    back = tmp_path / "back" / "shapes"
    assert lpe("decrypt", "--source", enc, "--output", back, "--keystore", keystore).code == 0
    value = lpe("ingest", "--source", f"folder:{photos}", "--output", back, "--append", "--json").json
    assert value["status"] == "skipped"  # all pixels are there
    assert sorted(contents(back)) == [f"train-{number:07d}" for number in range(24)]
    assert [label for _, label in contents(back).values()].count(0) == 12


def test_new_classes(lpe, keystore, plain, enc, grow, made):
    made(plain)
    grow(range(20, 22), "--add-labels", classes=("ant", "cat"))
    assert "'ant'" in encrypt(lpe, keystore, f"dataset:{plain}", enc, "--append").json["error"]
    made(plain, "--append", "--add-labels")
    assert open_dataset(str(enc)).class_names == ("cat", "dog", "ant")


def test_hidden_classes_stay_as_many(lpe, keystore, plain, enc, grow, made):
    made(plain, "--hide-labels")
    grow(range(20, 21), "--add-labels", classes=("ant",))
    outcome = encrypt(lpe, keystore, f"dataset:{plain}", enc, "--append", "--add-labels")
    assert "its class names are hidden by an order of 2 classes" in outcome.json["error"]
    assert [path.name for path in enc.iterdir()] == ["1.0.0"]


def test_with_a_rotation(lpe, keystore, plain, enc, grow, made):
    made(plain, "--scope", "image")
    old = open_dataset(str(enc)).encryption["key"]["id"]
    grow(range(20, 22))
    assert lpe("keys", "rotate", "patients", "--keystore", keystore).code == 0
    value = made(plain, "--append")
    assert "re-encrypted first, as 1.0.1: the keyset has another primary key" in value["notes"]
    assert Path(value["dataset"]).name == "1.0.2"
    assert value["key"]["id"] != old
    # What is older is retired and deleted; what was linked stays whole, and its key is in use.
    policy = ("--retire-after", "0s", "--destroy-keys", "--json")
    retired = lpe("reencrypt", enc, "--keystore", keystore, *policy).json
    assert [path.name for path in enc.iterdir()] == ["1.0.2"]
    assert old in retired["destroyed_keys"]
    assert lpe("verify", enc, "--keystore", keystore, "--against", plain).code == 0


def test_other_jobs_know_what_was_appended(lpe, keystore, plain, enc, grow, made, tmp_path):
    made(plain, "--seal", "--cipher", "cpbe-100")
    grow(range(20, 22))
    made(plain, "--append")
    key, unsealed = tmp_path / "data.key", tmp_path / "unsealed" / "shapes"
    export = ("keys", "export", "patients", "--keystore", keystore, "--dataset", enc, "--output", key)
    assert lpe(*export).code == 0
    assert lpe("unseal", "--source", enc, "--output", unsealed, "--data-key", key).code == 0
    assert len(contents(unsealed)) == 22
    assert "was unsealed" in encrypt(lpe, keystore, f"dataset:{plain}", unsealed, "--append").json["error"]
    picture = tmp_path / "grid.png"
    assert lpe("show", enc, "--keystore", keystore, "--split", "train", "--output", picture).code == 0
    again = lpe("reencrypt", enc, "--keystore", keystore, "--cipher", "le", "--json")
    assert again.json["status"] == "ok"
    grow(range(22, 23))
    made(plain, "--append")
    assert open_dataset(str(enc)).version == "1.0.3"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cipher", "le"), "--cipher: "),
        (("--param", "chain=row"), "--param: "),
        (("--scope", "image"), "--scope: "),
        (("--seal",), "--seal: "),
        (("--hide-labels",), "--hide-labels: "),
        (("--augment", "flip"), "--augment: "),
        (("--format", "parquet"), "has tfrecord files"),
    ],
)
def test_another_encryption_than_there_is_is_refused(lpe, keystore, plain, enc, grow, made, words, said):
    made(plain)
    outcome = encrypt(lpe, keystore, f"dataset:{plain}", enc, "--append", *words)
    assert outcome.code == 2
    assert said in outcome.json["error"]
    assert encrypt(lpe, keystore, f"dataset:{plain}", enc, "--append", "--cipher", "lpe-100").code == 0


def test_a_dataset_that_does_not_begin_with_what_was_encrypted_is_refused(
    lpe, keystore, plain, enc, made, tmp_path
):
    made(plain)
    other = tmp_path / "other" / "shapes"
    draw(tmp_path / "b", range(22))
    assert lpe("ingest", "--source", f"folder:{tmp_path / 'b'}", "--output", other).code == 0
    error = encrypt(lpe, keystore, f"dataset:{other}", enc, "--append").json["error"]
    assert "does not begin with what" in error


def test_a_carried_shard_that_is_changed_is_found(lpe, keystore, plain, enc, grow, made):
    made(plain)
    grow(range(20, 22))
    made(plain, "--append")
    shard = enc / "1.0.1" / "shapes-train.tfrecord-00000-of-00002"
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(flipped(content, 100))
    assert lpe("verify", enc, "--keystore", keystore).code == 1
    # And metadata that say that it is right have no MAC.
    manifest = enc / "1.0.1" / "encryption.json"
    manifest.write_text(manifest.read_text().replace('"appended_to": "1.0.0"', '"appended_to": "1.0.1"'))
    assert "damaged" in encrypt(lpe, keystore, f"dataset:{plain}", enc, "--append").json["error"]


# -- numbers: none ever meets two images -------------------------------------------------------------------------------


def log(keystore: str) -> list[dict]:
    return [json.loads(line) for line in Path(keystore, "patients.log.jsonl").read_text().splitlines()]


def given(keystore: str) -> list[tuple[int, int]]:
    return [(line["first"], line["after"]) for line in log(keystore) if line["event"] == "numbers given"]


def test_numbers_that_were_given_once_are_given_to_no_other_images(
    lpe, keystore, photos, enc, made, tmp_path
):
    made(f"folder:{photos}", "--scope", "image")
    copy = tmp_path / "copy" / "shapes"
    shutil.copytree(enc, copy)
    first = draw(tmp_path / "first", range(30, 33))
    made(f"folder:{first}", "--append")
    whole = shards(enc)
    shutil.rmtree(enc / "1.0.1")
    made(f"folder:{first}", "--append")  # the same images have their numbers again, and the same bytes
    assert shards(enc) == whole
    shutil.rmtree(enc / "1.0.1")
    made(f"folder:{draw(tmp_path / 'second', range(40, 42))}", "--append")
    third = draw(tmp_path / "third", range(50, 51))
    assert encrypt(lpe, keystore, f"folder:{third}", copy, "--append").code == 0
    assert given(keystore) == [(20, 23), (23, 25), (25, 26)]
    assert sorted(contents(enc))[-2:] == ["train-0000023", "train-0000024"]
    assert sorted(contents(copy))[-1] == "train-0000025"


def test_fixed_numbers_of_other_images_are_refused(lpe, keystore, photos, plain, enc, grow, made):
    """The plain dataset forgets what was deleted of it; the key store does not."""
    made(plain, "--scope", "image")
    grow(range(20, 22))
    made(plain, "--append")
    shutil.rmtree(enc / "1.0.1")
    grow(range(22, 23))
    made(plain, "--append")  # those that were there, with the numbers that they had, and more
    shutil.rmtree(enc / "1.0.1")
    for version in ("1.0.1", "1.0.2"):
        shutil.rmtree(plain / version)
    for number in (20, 21, 22):
        (photos / ("cat", "dog")[number % 2] / f"{number:03d}.png").unlink()
    grow(range(60, 62))
    outcome = encrypt(lpe, keystore, f"dataset:{plain}", enc, "--append")
    assert "train: other images have had the numbers 20 to 2" in outcome.json["error"]
    assert not [path for path in enc.rglob("*-of-*") if "1.0.0" not in str(path)]
    assert given(keystore) == [(20, 22), (20, 23)]
    assert lpe("keys", "rotate", "patients", "--keystore", keystore).code == 0
    assert lpe("reencrypt", enc, "--keystore", keystore).code == 0
    made(plain, "--append")


def test_an_id_that_an_adversary_gave_a_new_image_meets_no_key(lpe, keystore, plain, enc, grow, made):
    made(plain, "--scope", "image")
    grow(range(20, 22))

    def renamed(version: editing.Version) -> None:
        version.shards["train"][1] = [
            dataclasses.replace(example, id=f"train-{number:07d}")
            for number, example in enumerate(version.shards["train"][1])
        ]

    editing.edit(plain / "1.0.1", renamed)
    error = encrypt(lpe, keystore, f"dataset:{plain}", enc, "--append").json["error"]
    assert "the id 'train-0000000' is none of the new images'" in error
    assert [path.name for path in enc.iterdir() if path.name != "_work"] == ["1.0.0"]


def test_a_log_that_was_cut_gives_no_numbers(lpe, keystore, photos, enc, made, tmp_path):
    made(f"folder:{photos}", "--scope", "image")
    made(f"folder:{draw(tmp_path / 'first', range(30, 33))}", "--append")
    path = Path(keystore, "patients.log.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    more = draw(tmp_path / "second", range(40, 42))
    error = encrypt(lpe, keystore, f"folder:{more}", enc, "--append").json["error"]
    assert "the end was removed" in error


def test_in_python(keystore, plain, enc, grow):
    key = api.KeyRef(keystore, "patients")
    spec = api.JobSpec(api.ReadSpec(f"dataset:{plain}"), str(enc))
    api.encrypt(spec, api.CipherChoice("lpe-100"), key)
    grow(range(20, 22))
    result = api.append_encrypted(spec, key, api.CipherChange("lpe-100"))
    assert not api.verify(str(enc), keystore, str(plain)).problems
    assert result.dataset.numbers == {"train": 22}
