"""Datasets whose images a learned encoder reduced: what is released, and where the encoder is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.encoders import keep_encoders, kept_encoder
from lpe.pipeline.keystore import KeyStore
from lpe.pipeline.keystore.encoders_path import encoder_path
from lpe.transforms.errors import KeyStoreError
from lpe.transforms.reductions import Chain
from lpe.transforms.reductions.encoder import Encoder
from lpe.transforms.reductions.learned import Learned
from tests.pipeline.jobs.numbered_images import draw
from tests.pipeline.jobs.test_predict import asked, decrypted, finished_run
from tests.pipeline.running import contents, encrypting, refused
from tests.secret_bytes import found
from tests.transforms.reductions.encoders import small_encoder, written

__all__ = ["asked"]
ENCODER = small_encoder()
WEIGHTS = [each.weights.tobytes()[:64] for each in ENCODER.convolutions]


@pytest.fixture
def folder(tmp_path) -> Path:
    return written(ENCODER, tmp_path / "fitted")


@pytest.fixture
def home(lpe, keystore, plain, folder, tmp_path) -> Path:
    """An encrypted dataset."""
    home = tmp_path / "enc" / "shapes"
    outcome = lpe(*encrypting(keystore, f"dataset:{plain}", home), "--reduce", f"learned:{folder}")
    assert outcome.code == 0, outcome
    assert not found(WEIGHTS, (outcome.out + outcome.err).encode())
    return home


def encoders(keystore: str) -> list[Path]:
    return sorted(Path(keystore, "encoders").iterdir())


def encoded(home: Path, encoder: Encoder = ENCODER) -> dict[str, tuple[bytes, int]]:
    """Every example of a plain dataset as it is released."""
    out = {}
    for name, (image, label) in contents(home).items():
        pixels = np.frombuffer(image, np.uint8).reshape(1, *encoder.image_shape)
        out[name] = (encoder.encode(pixels).tobytes(), label)
    return out


def test_what_the_encoder_leaves_is_encrypted(lpe, keystore, plain, folder, home, tmp_path):
    recorded = json.loads((home / "1.0.0" / "encryption.json").read_text())["reduction"]
    assert recorded["steps"] == f"learned:{ENCODER.digest}"
    assert recorded["image_shape"] == [32, 32, 3]
    # From here on the key store has all that is needed.
    (folder / "encoder.bin").unlink()
    back = tmp_path / "back" / "shapes"
    words = ("--keystore", keystore)
    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, *words).code == 0
    assert contents(back) == encoded(plain)
    assert contents(home) != encoded(plain)
    assert lpe("verify", home, "--against", f"dataset:{plain}", *words).code == 0


def test_the_encoder_lies_hidden_in_the_key_store_alone(keystore, home, plain, tmp_path):
    (kept,) = encoders(keystore)
    key = KeyStore(keystore).open("patients").id
    assert kept.name == f"patients.{key}.{ENCODER.digest}.bin"
    assert kept.stat().st_mode & 0o777 == 0o600
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != "fitted"]
    assert found(WEIGHTS, ENCODER.to_bytes())
    assert len(files) >= 20
    assert not [path for path in files if found(WEIGHTS, path.read_bytes())]


def test_it_goes_along_with_the_key_and_ends_with_it(lpe, keystore, plain, folder, home, tmp_path):
    words = ("--keystore", keystore)
    old = KeyStore(keystore).open("patients").id
    (folder / "encoder.bin").unlink()
    assert lpe("keys", "rotate", "patients", *words).code == 0
    assert lpe("reencrypt", home, *words).code == 0
    new = KeyStore(keystore).open("patients").id
    assert {int(path.name.split(".")[1]) for path in encoders(keystore)} == {old, new}
    assert lpe("keys", "destroy", "patients", old, "--force", *words).code == 0
    assert [int(path.name.split(".")[1]) for path in encoders(keystore)] == [new]
    assert lpe("verify", home, "--against", f"dataset:{plain}", *words).code == 0
    more = ("--source", "synthetic:130", "--append", "--key", "patients", "--output", home)
    assert lpe("encrypt", *more, *words).code == 0
    back = tmp_path / "back" / "shapes"
    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, *words).code == 0
    assert len(contents(back)) > len(contents(plain))
    assert set(encoded(plain).values()) <= set(contents(back).values())


def test_the_owners_photos_go_through_the_encoder(lpe, keystore, home, folder, tmp_path, asked):
    (folder / "encoder.bin").unlink()
    photo = draw(tmp_path / "photos", range(1), size=32) / "cat" / "000.png"
    data = open_dataset(str(home))
    run = finished_run(tmp_path / "run", data)
    assert lpe("predict", "--run", run, "--keystore", keystore, photo).code == 0
    released = ENCODER.encode(np.asarray(Image.open(photo))[None])
    assert np.array_equal(decrypted(asked[0], data, keystore), released)
    encoders(keystore)[0].unlink()
    refused(
        lpe("predict", "--run", run, "--keystore", keystore, photo), "restore it from a copy of the key store"
    )


@pytest.mark.parametrize("spoil", ["missing", "changed", "not hidden", "another's"])
def test_an_encoder_that_is_not_as_it_was_is_refused(keystore, spoil):
    key = KeyStore(keystore).open("patients")
    keep_encoders(Chain((Learned(ENCODER), Learned(small_encoder(1)))), key, keystore)
    kept, another = (
        Path(encoder_path(keystore, "patients", key.id, each.digest)) for each in (ENCODER, small_encoder(1))
    )
    assert kept_encoder(ENCODER.digest, key, keystore).to_bytes() == ENCODER.to_bytes()
    if spoil == "missing":
        kept.unlink()
    elif spoil == "changed":
        kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    else:
        kept.write_bytes(ENCODER.to_bytes() if spoil == "not hidden" else another.read_bytes())
    with pytest.raises(KeyStoreError, match="restore it from a copy of the key store") as refusal:
        kept_encoder(ENCODER.digest, key, keystore)
    assert str(refusal.value).startswith(f"{kept}: ")


def test_an_encoder_that_others_may_read_or_that_is_none_is_refused(lpe, keystore, plain, folder, tmp_path):
    words = (
        *encrypting(keystore, f"dataset:{plain}", tmp_path / "enc"),
        "--reduce",
        f"learned:{folder}",
    )
    file = folder / "encoder.bin"
    file.chmod(0o644)
    refused(lpe(*words), f"chmod 600 {file}")
    file.chmod(0o600)
    file.write_bytes(b"lpe-encoder/1\n" + bytes(30))
    refused(lpe(*words), f"{file}: no encoder (")
    file.unlink()
    refused(lpe(*words), f"{file}: missing")
    assert not (tmp_path / "enc").exists()


def test_images_of_another_shape_are_refused(lpe, keystore, folder, tmp_path):
    file = folder / "encoder.bin"
    file.write_bytes(small_encoder(image_shape=(16, 16, 3)).to_bytes())
    outcome = lpe(*encrypting(keystore, "synthetic:40", tmp_path / "enc"), "--reduce", f"learned:{folder}")
    refused(outcome, "the encoder was fitted to images of 16×16×3", code=2)


def test_a_recorded_encoder_must_be_a_digest(lpe, keystore, home):
    path = home / "1.0.0" / "encryption.json"
    path.write_text(path.read_text().replace(f"learned:{ENCODER.digest}", "learned:../../keys"))
    outcome = lpe("verify", home, "--keystore", keystore)
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
