"""Datasets whose images were reduced before they were encrypted, through all jobs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.reduced_reader import DatasetReduction, reduced
from lpe.pipeline.encryption.reduction import RecordedReduction
from lpe.pipeline.sources.plan import plan_dataset
from lpe.train.runs import load_run
from lpe.train.served_model import ServedModel
from lpe.transforms import reductions
from tests.pipeline.jobs.numbered_images import draw
from tests.pipeline.jobs.test_predict import asked, decrypted, finished_run
from tests.pipeline.running import contents, encrypt, files, refused
from tests.secret_bytes import found
from tests.tamper.editing import edit

__all__ = ["asked"]
CHAIN = "thumbnail=4,noise=16"


@pytest.fixture
def photos(tmp_path) -> Path:
    return draw(tmp_path / "photos", range(12))


@pytest.fixture
def plain(lpe, photos, tmp_path) -> Path:
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", f"folder:{photos}", "--output", home).code == 0
    return home


@pytest.fixture
def enc(tmp_path) -> Path:
    return tmp_path / "enc" / "shapes"


@pytest.fixture
def made(lpe, keystore, plain, enc):
    """Encrypts with these words, and compares with the plain dataset."""

    def run(*words: object) -> dict:
        outcome = encrypt(lpe, keystore, f"dataset:{plain}", enc, *words)
        assert outcome.code == 0, outcome
        verified = lpe("verify", enc, "--keystore", keystore, "--against", plain, "--json")
        assert verified.code == 0, verified
        return outcome.json

    return run


@pytest.fixture
def back(lpe, keystore, tmp_path):
    """What a version of a dataset decrypts to: id -> (image, label); the job's notes come with it."""

    def run(source: Path) -> tuple[dict[str, tuple[bytes, int]], list[str]]:
        home = tmp_path / f"back{len(list(tmp_path.glob('back*')))}" / "shapes"
        outcome = lpe("decrypt", "--source", source, "--output", home, "--keystore", keystore, "--json")
        assert outcome.code == 0, outcome
        return contents(home), outcome.json["notes"]

    return run


def recorded(home: Path) -> RecordedReduction:
    reduction = Encryption.of(open_dataset(str(home)), "").reduction
    assert reduction is not None
    return reduction


def noise_secret(keystore: str, home: Path) -> bytes:
    encryption = Encryption.of(open_dataset(str(home)), "")
    secret = recorded(home).noise_secret(encryption.open_key(keystore), encryption.spec.salt)
    assert secret is not None
    return secret


@pytest.mark.parametrize(
    "how",
    [
        ("--scope", "image", "--augment", "flip", "--copies", "2"),
        ("--hide-labels", "--seal"),
        ("--format", "parquet", "--cipher", "plain"),
    ],
    ids=["a key per image, with copies", "labels hidden, sealed", "parquet, no cipher"],
)
def test_every_job_knows_the_reduction(lpe, keystore, plain, enc, made, back, photos, how):
    value = made("--reduce", CHAIN, *how)
    assert value["reduction"] == CHAIN
    assert open_dataset(str(enc)).properties()["reduction"] == f"{CHAIN} (not invertible)"
    assert ("there is no key in this" in str(value["notes"])) == ("plain" in how)
    assert recorded(enc).image_shape == (8, 8, 3)
    restored, notes = back(enc)
    assert "cannot be undone" in str(notes)
    chain = reductions.parse(CHAIN)
    secret = noise_secret(keystore, enc)
    originals = contents(plain)
    for image_id, (image, label) in originals.items():
        pixels = np.frombuffer(image, np.uint8).reshape(1, 8, 8, 3)
        assert restored[image_id] == (chain.apply(pixels, secret).tobytes(), label)
    if "--augment" in how:  # copies are made of reduced images: they carry the same noise
        copies = {name: image for name, (image, _) in restored.items() if "augmented" in name}
        assert len(copies) == 2 * len(originals)
        for name, image in copies.items():
            once = np.frombuffer(restored[name.partition("-augmented")[0]][0], np.uint8).reshape(4, 4, 3)
            assert image in (once.tobytes(), once[:, ::-1].tobytes())
    assert made("--reduce", CHAIN, *how)["status"] == "skipped"

    # A rotation later: the same images, the same noise.
    assert lpe("keys", "rotate", "patients", "--keystore", keystore).code == 0
    assert lpe("reencrypt", enc, "--keystore", keystore, "--json").json["reduction"] == CHAIN
    assert back(enc)[0] == restored
    draw(photos, range(12, 14))
    assert lpe("ingest", "--source", f"folder:{photos}", "--output", plain, "--append").code == 0
    assert made("--append")["reduction"] == CHAIN
    grown = back(enc)[0]
    assert {name: grown[name] for name in restored} == restored
    assert len(grown) == len(restored) * 14 // 12
    assert lpe("verify", enc, "--keystore", keystore, "--against", plain).code == 0


def test_the_next_versions_repeat_the_noise(lpe, keystore, plain, enc, made, back, tmp_path):
    made("--reduce", "noise=32")
    first, _ = back(enc)
    assert lpe("keys", "rotate", "patients", "--keystore", keystore).code == 0
    made("--reduce", "bits=2", "--cipher", "pbe")
    made("--reduce", "noise=32", "--cipher", "pbe")
    assert [path.name for path in sorted(enc.glob("1.*"))] == ["1.0.0", "1.0.1", "1.0.2"]
    assert back(enc)[0] == first
    # Another home, another key: nothing to be taken over.
    elsewhere = tmp_path / "elsewhere" / "shapes"
    assert encrypt(lpe, keystore, f"dataset:{plain}", elsewhere, "--reduce", "noise=32").code == 0
    assert noise_secret(keystore, elsewhere) != noise_secret(keystore, enc)


def test_a_reduction_is_part_of_a_jobs_identity(enc, made):
    jobs = set()
    for words in ((), ("--reduce", "bits=4"), ("--reduce", "bits=3"), ("--reduce", "bits=3,noise=1")):
        assert made(*words)["status"] == "ok"
        assert made(*words)["status"] == "skipped"
        data = open_dataset(str(enc))
        jobs.add((data.manifest.job, data.encryption["salt"]))
    assert len(jobs) == 4


def test_what_a_folder_has_got_is_compared_with_reduced_images(lpe, keystore, photos, enc, back):
    source = f"folder:{photos}"
    assert encrypt(lpe, keystore, source, enc, "--reduce", CHAIN, "--hide-labels").code == 0
    before, _ = back(enc)
    for names in Path(keystore, "names").iterdir():  # without the files' digests, pixels are compared
        names.unlink()
    assert encrypt(lpe, keystore, source, enc, "--append").json["status"] == "skipped"
    draw(photos, range(12, 14))
    value = encrypt(lpe, keystore, source, enc, "--append", "--reduce", CHAIN).json
    assert value["left_out"] == {"known": 12, "repeated": 0}
    assert before.items() < back(enc)[0].items()


def test_appending_refuses_other_reductions_and_other_shapes(
    lpe, keystore, photos, plain, enc, made, tmp_path
):
    made("--reduce", "thumbnail=4")
    for words in (("--reduce", "thumbnail=2"), ("--reduce", "thumbnail=4,bits=4")):
        error = encrypt(lpe, keystore, f"dataset:{plain}", enc, "--append", *words).json["error"]
        assert error.startswith("--reduce: ")
        assert "(thumbnail=4)" in error
    larger = draw(tmp_path / "larger", range(20, 22), size=16)  # of which 4x4 can be made too
    error = encrypt(lpe, keystore, f"folder:{larger}", enc, "--append").json["error"]
    assert "its images are 16x16x3" in error
    assert "8x8x3; read them with the same --image-size" in error
    assert [path.name for path in enc.glob("1.*")] == ["1.0.0"]


def test_images_of_many_shapes_keep_them(lpe, keystore, tmp_path, enc, back):
    photos = draw(draw(tmp_path / "many", range(3)), range(3, 6), size=9)
    words = ("--image-size", "any", "--cipher", "plain")
    error = encrypt(lpe, keystore, f"folder:{photos}", enc, *words, "--reduce", "thumbnail=4").json["error"]
    assert "thumbnail=4: needs images of one shape; give --image-size" in error
    assert not list(enc.glob("1.*"))
    assert encrypt(lpe, keystore, f"folder:{photos}", enc, *words, "--reduce", "bits=1,noise=1").code == 0
    assert recorded(enc).image_shape is None
    assert len(back(enc)[0]) == 6
    plain = tmp_path / "plain" / "many"
    assert lpe("ingest", "--source", f"folder:{photos}", "--image-size", "any", "--output", plain).code == 0
    assert encrypt(lpe, keystore, f"dataset:{plain}", enc, "--append").code == 1  # not made from that dataset
    assert encrypt(lpe, keystore, f"folder:{photos}", enc, *words, "--append").json["status"] == "skipped"


def test_files_come_back_as_they_were_reduced(lpe, keystore, enc, made, tmp_path):
    made("--reduce", "thumbnail=4")
    words = ("--source", enc, "--keystore", keystore, "--as-files", tmp_path / "files", "--json")
    assert "(thumbnail=4), and that cannot be undone" in str(lpe("decrypt", *words).json["notes"])
    assert {Image.open(path).size for path in (tmp_path / "files").rglob("*.png")} == {(4, 4)}


def test_the_owners_photos_are_reduced_alike(lpe, keystore, plain, photos, enc, made, tmp_path, asked):
    made("--reduce", CHAIN)
    data = open_dataset(str(enc))
    run = finished_run(tmp_path / "run", data)
    paths = sorted(map(str, (photos / "cat").iterdir()))[:2]
    assert lpe("predict", "--run", run, "--keystore", keystore, *paths).code == 0
    originals = np.stack([np.asarray(Image.open(path)) for path in paths])
    expected = reductions.parse(CHAIN).apply(originals, noise_secret(keystore, enc))
    assert np.array_equal(decrypted(asked[0], data, keystore), expected)
    served = ServedModel.of(load_run(run)).encryption  # what a file of lpe export carries
    assert served is not None
    assert Encryption.from_json(served, "").reduction == recorded(enc)

    record = json.loads(Path(run, "run.json").read_text())
    record["encryption"]["reduction"]["steps"] = "thumbnail=2,noise=16"
    Path(run, "run.json").write_text(json.dumps(record))
    refused(lpe("predict", "--run", run, "--keystore", keystore, *paths), "not what the reduction leaves")


def test_pictures_and_figures_of_reduced_images(lpe, keystore, plain, enc, made, tmp_path):
    made("--reduce", "thumbnail=4")
    rows = {}
    for name, words in {
        "decrypted": (enc, "--keystore", keystore),
        "beside the plain one": (enc, "--keystore", keystore, "--against", plain),
        "of a source": ("--source", f"dataset:{plain}", "--reduce", "thumbnail=4"),
    }.items():
        path = tmp_path / "picture.png"
        assert lpe("show", *words, "--images", 2, "--output", path).code == 0
        rows[name] = (Image.open(path).height - 27) // 102
    assert rows == {"decrypted": 2, "beside the plain one": 3, "of a source": 3}
    refused(lpe("show", enc, "--reduce", "bits=1"), "--reduce goes with --source", code=2)
    page = tmp_path / "page.html"
    assert lpe("show", enc, "--keystore", keystore, "--against", plain, "--html", page).code == 0
    assert "thumbnail=4 (not invertible)" in page.read_text()

    words = ("stats", "--source", f"dataset:{plain}", "--ciphers", "plain", "--json")
    (whole, _), (blurred, _) = (lpe(*words, *more).json["schemes"] for more in ((), ("--reduce", "blur=1.5")))
    assert blurred["horizontal"] > 0.5 > abs(whole["horizontal"])


def test_a_dry_run_foretells_the_reduced_size(lpe, plain):
    words = ("encrypt", "--source", f"dataset:{plain}", "--dry-run", "--json")
    whole, small = (lpe(*words, *more).json["splits"]["train"]["bytes"] for more in ((), ("--reduce", CHAIN)))
    assert whole - small == pytest.approx(12 * (8 * 8 - 4 * 4) * 3, abs=12 * 8)


@pytest.mark.parametrize("text", ["thumbnail=8", "thumbnail", "noise=0", "sharpen=2", "grey,grey", "bits=4,"])
def test_reductions_that_there_are_not(lpe, keystore, plain, enc, text):
    outcome = lpe(
        "encrypt", "--source", f"dataset:{plain}", "--output", enc, "--keystore", keystore, "--key", "patients",
        "--reduce", text,
    )  # fmt: skip
    refused(outcome, code=2)
    assert not enc.exists() or not list(enc.glob("1.*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": "thumbnail=9,noise=16"}, "no larger than that"),
        ({"steps": "sharpen=9"}, "unknown reduction"),
        ({"steps": ""}, "names no reduction"),
        ({"steps": 4}, "steps"),
        ({"noise": None}, "'noise' does not go with the reduction"),
        ({"image_shape": [8, 8]}, "no shape of an image"),
        ({"image_shape": [1 << 15, 1 << 15, 3]}, "no shape of an image"),
    ],
)
def test_a_damaged_record_is_one_line(lpe, keystore, enc, made, tmp_path, change, message):
    made("--reduce", CHAIN)
    edit(enc / "1.0.0", lambda version: version.manifest["reduction"].update(change))
    words = ("--source", enc, "--output", tmp_path / "back" / "shapes", "--keystore", keystore)
    refused(lpe("decrypt", *words), message)


def test_changed_noise_is_refused(lpe, keystore, enc, made, plain):
    """Whoever has no key can neither change the hidden secret nor take that of another dataset."""
    made("--reduce", CHAIN)
    hidden = recorded(enc).hidden_noise
    key = Encryption.of(open_dataset(str(enc)), "").open_key(keystore)
    for noise in ("", "?", hidden[:-8] + "AAAAAAA="):
        changed = RecordedReduction(CHAIN, (8, 8, 3), noise)
        with pytest.raises(Exception, match="damaged or changed"):
            changed.noise_secret(key, "0" * 64)
    edit(enc / "1.0.0", lambda version: version.manifest["reduction"].update(noise=hidden[:-8] + "AAAAAAA="))
    refused(lpe("verify", enc, "--keystore", keystore, "--against", plain), "encryption.json")


def test_another_dataset_is_not_what_was_reduced(lpe, keystore, enc, made, tmp_path, plain):
    made("--reduce", "thumbnail=4")
    decrypted = tmp_path / "back" / "shapes"
    assert lpe("decrypt", "--source", enc, "--output", decrypted, "--keystore", keystore).code == 0
    outcome = lpe("verify", enc, "--keystore", keystore, "--against", decrypted)
    refused(outcome, "name the dataset that was encrypted, not one that was decrypted")


def test_what_travels_to_workers_holds_no_secret(keystore, enc, made, plain):
    made("--reduce", CHAIN)
    encryption = Encryption.of(open_dataset(str(enc)), "")
    plan = reduced(plan_dataset(open_dataset(str(plain))), DatasetReduction.of(encryption, keystore))
    secret = noise_secret(keystore, enc)
    next(plan.tasks[0].reader.batches(lambda bad: None))
    sent = pickle.dumps(plan.tasks)
    assert not found([secret], sent)
    assert not any(found([secret], content) for content in files(enc).values())
    again = next(pickle.loads(sent)[0].reader.batches(lambda bad: None))
    assert again.images.shape[1:] == (4, 4, 3)
