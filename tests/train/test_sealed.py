"""Sealed data, opened in memory by whoever trains: with the data key, and refused without."""

from __future__ import annotations

import concurrent.futures
import json
import logging
import multiprocessing
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import lpe as api
from lpe.pipeline.dataset import Dataset, open_dataset
from lpe.pipeline.seal.data_key import load_data_key
from lpe.pipeline.seal.opening import seal_opener
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.shards import Shards
from lpe.train.recipes import Recipe
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import LpeError
from tests.pipeline.running import contents
from tests.secret_bytes import found
from tests.tamper import editing
from tests.tamper.owner import KEYSET, Owner, make_owner, refusal, write_images
from tests.train.running import metrics


@pytest.fixture(scope="module")
def owner(tmp_path_factory) -> Owner:
    """A sealed dataset, the same unsealed, and the data key; tests must not change it."""
    return make_owner(tmp_path_factory.mktemp("owner") / "files", 24, others=False)


@pytest.fixture(scope="module")
def data_key(owner) -> str:
    return str(owner.root / "data.key")


def first_batch(dataset: Dataset) -> ImageBatch:
    """The first images of a dataset, as they are stored."""
    return next(ShardFiles(dataset, transform=lambda batch: batch).reader("train", 0).batches(print))


def trained(data: Path, output: Path, data_key: str | None = None, progress=None) -> api.TrainResult:
    """One epoch of the default network."""
    recipe = Recipe(batch_size=16)
    return api.fit(
        api.TrainSpec(str(data), str(output), epochs=1, recipe=recipe, data_key=data_key), progress
    )


def weights(result: api.TrainResult) -> list[bytes]:
    return [array.tobytes() for array in api.load_run(result.run).load_model().get_weights()]


def holding(needles: list[bytes], *folders: Path) -> list[Path]:
    """The files that hold one of the needles."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(needle in path.read_bytes() for needle in needles)]


def test_a_network_is_the_same_from_sealed_data_of_which_nothing_opened_touches_a_disk(
    lpe, owner, data_key, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG, logger="lpe")
    within = [image for image, _ in contents(owner.home("unsealed")).values()]
    shutil.copytree(owner.home("sealed"), tmp_path / "sealed" / "shapes")
    for folder in ("cwd", "tmp"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    seen = []

    def look(*epoch: object) -> None:
        seen.append(holding(within, tmp_path))

    sealed = trained(tmp_path / "sealed" / "shapes", tmp_path / "run", data_key, look)
    words = ("evaluate", "--run", tmp_path / "run", "--json", "--data")
    measured = lpe(*words, tmp_path / "sealed" / "shapes", "--data-key", data_key)
    assert (measured.code, seen, holding(within, tmp_path)) == (0, [[]], [])
    key = [load_data_key(data_key)._secret]
    printed = f"{measured.out}{measured.err}{caplog.text}".encode()
    assert not found(key, printed)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and found(key, path.read_bytes())]

    opened = trained(owner.home("unsealed"), tmp_path / "of unsealed")
    assert holding(within, owner.home("unsealed"))  # where they are found, when they are there
    assert weights(sealed) == weights(opened)
    assert metrics(sealed.run) == metrics(opened.run)
    # The network serves both, and the owner, as one of the unsealed images would.
    assert lpe(*words, owner.home("unsealed")).json["loss"] == measured.json["loss"]
    photo = next((owner.root / "images" / "shapes" / "test").rglob("*.png"))
    assert lpe("predict", "--run", sealed.run, "--keystore", owner.keystore, photo).code == 0

    done = trained(tmp_path / "sealed" / "shapes", tmp_path / "run", str(shutil.copy(data_key, tmp_path)))
    assert done.skipped  # the key's place is nothing that makes it another run
    (tmp_path / "run" / "run.json").unlink()
    with refusal(f"--data-key {data_key}"):  # the command that finishes the run
        api.load_run(sealed.run)


@pytest.mark.parametrize("memory_bytes", [1 << 30, 0], ids=["in memory", "streamed"])
def test_shards_gives_what_is_within_the_seal(owner, data_key, memory_bytes):
    settings = {"batch_size": 7, "shuffle": True, "memory_bytes": memory_bytes}
    sealed = list(Shards(str(owner.home("sealed")), data_key=data_key, **settings))
    opened = list(Shards(str(owner.home("unsealed")), **settings))
    assert len(sealed) == len(opened) == 4
    for ours, theirs in zip(sealed, opened, strict=True):
        assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))


def test_another_process_opens_the_seal_by_the_path_of_the_key(owner, data_key):
    dataset = open_dataset(str(owner.home("sealed")))
    opener = seal_opener(dataset, data_key)
    batch = first_batch(dataset)
    here = opener(batch)
    shards = Shards(str(owner.home("sealed")), data_key=data_key)
    image, label = shards[0]
    for value in (opener, shards):
        assert not found([opener.key._secret], pickle.dumps(value))
    copied = pickle.loads(pickle.dumps(shards))[0]
    assert ((copied[0] == image).all(), copied[1]) == (True, label)
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(opener, batch).result()
    assert (there.images == here.images).all()
    assert here.images.shape[1:] == dataset.image_shape


def test_what_does_not_open_is_refused_in_one_line(lpe, owner, data_key, tmp_path):
    home, key = owner.home("sealed"), tmp_path / "key"
    write_images(tmp_path / "images", 3)
    other = Owner(tmp_path / "others")
    api.KeyStore(other.keystore).create(KEYSET)
    other.encrypt(f"folder:{tmp_path}/images", "sealed", seal=True)
    api.export_data_key(str(other.home("sealed")), other.keystore, KEYSET, str(tmp_path / "other"))

    def refused(data: Path, *parts: str, data_key: object = None, code: int = 1) -> None:
        more = () if data_key is None else ("--data-key", data_key)
        outcome = lpe("train", "--data", data, "--output", tmp_path / "run", "--json", *more)
        assert (outcome.code, outcome.json["status"]) == (code, "error"), outcome
        with refusal(*parts):
            raise LpeError(outcome.json["error"])
        with refusal(*parts):
            Shards(str(data), data_key=None if data_key is None else str(data_key))
        assert not (tmp_path / "run").exists()

    refused(home, str(home), "is sealed", "--data-key FILE", "lpe unseal")
    refused(home, str(home), "of another dataset", data_key=tmp_path / "other")
    refused(home, str(key), "no such file", data_key=key)
    shutil.copy(data_key, key)
    key.chmod(0o644)
    refused(home, "chmod 600", data_key=key)
    key.chmod(0o600)
    key.write_text(key.read_text()[:-40])
    refused(home, "not a data key", data_key=key)
    for kind in ("unsealed", "plain"):
        refused(owner.home(kind), "not sealed", data_key=data_key, code=2)


def test_what_was_changed_is_not_trained_on(owner, data_key, tmp_path):
    def tampered(name: str) -> Path:
        shutil.copytree(owner.version("sealed"), tmp_path / name / "shapes" / "1.0.0")
        return tmp_path / name / "shapes" / "1.0.0"

    image = tampered("image")
    dataset = open_dataset(str(image))
    shard = Path(dataset.shard_paths("train")[0])
    examples = editing.examples_of(shard, dataset.format)
    examples[17].image[0, 0, 40] ^= 1
    shard.write_bytes(editing.encoded(examples, dataset.format))
    with refusal(str(image), f"sealed image {examples[17].id} does not open"):
        trained(image, tmp_path / "run", data_key)
    assert metrics(tmp_path / "run") == []
    assert not (tmp_path / "run" / "run.json").exists()

    stripped, turned = tampered("stripped"), tampered("turned")
    editing.edit_json(stripped / "encryption.json", lambda value: value.update(seal=None))
    with refusal(str(stripped), "stripped"):
        trained(stripped, tmp_path / "another", data_key)
    editing.edit_json(turned / "encryption.json", lambda value: value["seal"].update(image_shape=[8, 24, 1]))
    with refusal("encryption.json: not what the owner of its key wrote"):
        trained(turned, tmp_path / "another", data_key)
    assert not (tmp_path / "another").exists()


def test_the_key_is_in_no_error(owner, data_key):
    dataset = open_dataset(str(owner.home("sealed")))
    opener, batch = seal_opener(dataset, data_key), first_batch(dataset)
    moved = batch.replace_images(np.roll(batch.images, 1, axis=0))
    with pytest.raises(LpeError) as raised:
        opener(moved)
    assert not found([opener.key._secret], json.dumps([str(raised.value), repr(opener)]).encode())
    assert not found([opener.key._secret], pickle.dumps(raised.value))
