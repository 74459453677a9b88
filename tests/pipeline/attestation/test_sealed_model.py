"""Training under a released key: what is left of it, and who can open the model."""

from __future__ import annotations

import copy
import hashlib
import io
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lpe as api
from lpe.pipeline.attestation import hpke, sealed_model
from lpe.pipeline.attestation.released_key import ReleasedKey
from lpe.pipeline.dataset import open_dataset
from lpe.train.recipes import Recipe
from lpe.transforms import labels
from lpe.transforms.errors import AttestationError, KeyStoreError, LpeError, UsageError
from tests.pipeline.attestation.conftest import own_memory
from tests.pipeline.running import flipped
from tests.secret_bytes import found

RUN_FILES = ("run.json", "model.keras", "curves.png", "metrics.jsonl")


@pytest.fixture(scope="module")
def owner(make_owner):
    """The owner whose data the model learns from; tests must not change it."""
    return make_owner()


@pytest.fixture(scope="module")
def released(owner, program) -> ReleasedKey:
    release, _ = owner.release(owner.request(owner.offer(), program))
    return ReleasedKey(release, program)


def train(owner, released, output: Path, progress=None, status=lambda line: None) -> api.TrainResult:
    spec = api.TrainSpec(owner.dataset, "", model="cnn", epochs=1, recipe=Recipe(batch_size=16))
    return api.train_released(spec, released, str(output), progress, status)


@pytest.fixture(scope="module")
def trained(owner, released, tmp_path_factory):
    """The sealed model, and the files that there were in memory, on the way, with their content."""
    output, seen = tmp_path_factory.mktemp("models") / "model.sealed", {}
    with own_memory() as folder:

        def look(line: str) -> None:
            if line == "encrypting the model to its owner":
                seen.update({path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()})

        result = train(owner, released, output, status=look)
        assert [path.name for path in folder.rglob("*")] == [next(folder.iterdir()).name]
    assert result.model == result.run == str(output)
    return output, seen


@pytest.fixture(scope="module")
def photo(owner, tmp_path_factory) -> str:
    """An image file of the dataset's shape."""
    shape = open_dataset(owner.dataset).image_shape
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.fromarray(pixels.squeeze()).save(path)
    return str(path)


def test_training_leaves_one_file_that_its_owner_opens(owner, trained, photo):
    output, _ = trained
    assert [path.name for path in output.parent.iterdir()] == ["model.sealed"]
    (prediction,) = api.predict(str(output), [photo], owner.keystore)
    assert prediction.label in open_dataset(owner.dataset).class_names
    assert 0 < prediction.probability <= 1


def test_nothing_of_the_data_key_is_in_what_training_writes(owner, released, trained):
    output, seen = trained
    assert {"spec.json", *RUN_FILES} <= {*seen}
    secret = [owner.data_key()]
    assert not [name for name, content in seen.items() if found(secret, content)]
    assert not found(secret, output.read_bytes())
    assert not found(secret, f"{released!r} {released} {released.offer}".encode())


def test_nothing_of_the_model_can_be_read_without_the_owner_s_key(owner, trained, photo, make_owner):
    output, seen = trained
    sealed = output.read_bytes()
    assert not any(content[:64] in sealed for content in seen.values() if content)
    with pytest.raises(UsageError, match="encrypted to its owner; pass --keystore"):
        api.predict(str(output), [photo])
    with pytest.raises(KeyStoreError) as error:
        api.predict(str(output), [photo], make_owner().keystore)
    assert "\n" not in str(error.value)


def test_training_that_fails_leaves_nothing(owner, released, tmp_path, in_memory):
    class FullError(Exception):
        pass

    def fail(*_) -> None:
        raise FullError

    with pytest.raises(FullError):
        train(owner, released, tmp_path / "model.sealed", fail)
    assert [path for path in in_memory.rglob("*") if path.is_file() or path.name.startswith("work-")] == []
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_is_refused_before_training(owner, released, tmp_path, in_memory):
    (tmp_path / "there.sealed").write_text("mine")
    for name, said in (("there.sealed", "exists; choose another name"), ("model", r"\.sealed at its end")):
        with pytest.raises(UsageError, match=said):
            train(owner, released, tmp_path / name, lambda *_: pytest.fail("was trained"))
    assert (tmp_path / "there.sealed").read_text() == "mine"
    assert list(in_memory.iterdir()) == []


def test_a_key_of_another_dataset_does_not_open_this_one(make_owner, released, tmp_path, in_memory):
    with pytest.raises(LpeError, match="of another dataset"):
        train(make_owner(), released, tmp_path / "model.sealed")
    assert not (tmp_path / "model.sealed").exists()


def test_a_released_key_is_neither_pickled_nor_copied_nor_shown(owner, released):
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="ReleasedKey holds key material"):
            take(released)
    assert repr(released) == "<ReleasedKey, not shown>"
    assert str(released) == "released for shapes 1.0.0"


def damaged(content: bytes) -> dict[str, bytes]:
    """What a sealed model may have become on the way."""
    header = content.index(b"\n")
    return {
        "dataset": flipped(content, content.index(b'"version": "') + 12),
        "policy": flipped(content, header - 4),
        "no JSON": flipped(content, 0),
        "first byte": flipped(content, header + 1),
        "middle": flipped(content, len(content) // 2),
        "last byte": flipped(content, len(content) - 1),
        "cut": content[:-1],
        "longer": content + b"\0",
        "header alone": content[: header + 1],
        "half a header": content[: header // 2],
        "no line": content.replace(b"\n", b" ")[:10_000],
        "empty": b"",
    }


@pytest.mark.parametrize("what", damaged(b'{"version": "1", "policy": "abcd"}\nabc'))
def test_a_sealed_model_that_was_changed_is_refused(owner, trained, photo, tmp_path, what):
    path = tmp_path / "model.sealed"
    path.write_bytes(damaged(trained[0].read_bytes())[what])
    with pytest.raises(AttestationError, match=rf"^{path}: .*fetch it again|ask for it again") as error:
        api.predict(str(path), [photo], owner.keystore)
    assert "\n" not in str(error.value)


def test_a_sealed_model_that_there_is_not_is_named(owner, photo, tmp_path):
    with pytest.raises(AttestationError, match=r"none\.sealed: no such file"):
        api.predict(str(tmp_path / "none.sealed"), [photo], owner.keystore)


@pytest.fixture
def seal(owner, trained, tmp_path):
    """Encrypts any bytes to the owner, as anybody can who has an offer."""
    header = trained[0].read_bytes().split(b"\n")[0]
    info = labels.sealed_model(hashlib.sha256(header).hexdigest())
    public = owner.offer().model_key

    def sealed(content: bytes) -> str:
        path = tmp_path / "hostile.sealed"
        path.write_bytes(header + b"\n" + hpke.encrypt(public, content, info))
        return str(path)

    return sealed


def archive(*names: str, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A ZIP archive of small files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as files:
        for name in names:
            files.writestr(name, f"{{}} {name}" * 20)
    return out.getvalue()


def with_password(content: bytes) -> bytes:
    """The same archive, whose files claim to be encrypted."""
    changed = bytearray(content)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            changed[at + flags] |= 1
            at = content.find(signature, at + 1)
    return bytes(changed)


HOSTILE = {
    "another file": archive(*RUN_FILES, "more.txt"),
    "a file less": archive(*RUN_FILES[1:]),
    "a file twice": archive("run.jsom", *RUN_FILES[:3]).replace(b"run.jsom", b"run.json"),
    "out of the folder": archive("../run.json", *RUN_FILES[1:]),
    "an absolute name": archive("/run.json", *RUN_FILES[1:]),
    "a folder": archive(*RUN_FILES[1:], "run.json/"),
    "compressed": archive(*RUN_FILES, compression=zipfile.ZIP_DEFLATED),
    "with a password": with_password(archive(*RUN_FILES)),
    "cut": archive(*RUN_FILES)[:-30],
    "no archive": b"PK\x03\x04",
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_an_archive_of_anything_else_is_not_unpacked(owner, seal, photo, tmp_path, monkeypatch, content):
    path = seal(content)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(AttestationError, match=rf"^{path}: .*the program that wrote it was another$"):
        api.predict(path, [photo], owner.keystore)
    assert [entry.name for entry in tmp_path.iterdir()] == ["hostile.sealed"]


def test_no_damage_to_an_archive_is_an_error_of_ours(owner, seal):
    whole, chance, refusals = archive(*RUN_FILES), random.Random(7), []
    for _ in range(150):
        content = whole
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(content))
            content = content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]
        try:
            with sealed_model.opened(seal(content), owner.keystore) as run:
                assert sorted(path.name for path in Path(run).iterdir()) == sorted(RUN_FILES)
        except AttestationError as error:
            refusals.append(str(error))
    assert refusals
    assert not any("\n" in refusal for refusal in refusals)
