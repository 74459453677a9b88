"""--seal and unseal: real encryption at rest, opened by a key of that dataset alone."""

from __future__ import annotations

import base64
import json
import pickle
import re
import shutil
import signal
import stat
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.keystore import KeyStore
from lpe.pipeline.seal.data_key import DataKey, load_data_key
from lpe.pipeline.seal.spec import OVERHEAD
from lpe.pipeline.sources.plan import plan_dataset
from lpe.train.loading.shards import Shards
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError
from tests.pipeline.running import encrypt, files, refused, start, wait_for_receipts
from tests.pipeline.sources.images import encoded, pixels, write
from tests.secret_bytes import found, prf_keys


@pytest.fixture
def home(lpe, keystore, plain, tmp_path) -> Path:
    home = tmp_path / "enc" / "shapes"
    assert encrypt(lpe, keystore, f"dataset:{plain}", home, "--seal", "--hide-labels").code == 0
    return home


@pytest.fixture
def format_1(tmp_path) -> Path:
    """What a version of lpe wrote that knew format 1: a plain dataset, two encrypted ones, their key store."""
    copy = tmp_path / "format_1"
    shutil.copytree(Path(__file__).parents[1] / "dataset" / "format_1", copy)
    copy.joinpath("keys").chmod(0o700)
    for path in copy.glob("keys/*"):
        path.chmod(0o600)
    return copy


@pytest.fixture
def data_key(lpe, keystore, home, tmp_path) -> Path:
    path = tmp_path / "data-key.json"
    words = ("keys", "export", "patients", "--keystore", keystore, "--dataset", home, "--output", path)
    assert lpe(*words).code == 0
    return path


def unseal(lpe, home, data_key, output, *more):
    return lpe("unseal", "--source", f"dataset:{home}", "--output", output, "--data-key", data_key, *more)


def sealed_batches(home):
    for task in plan_dataset(open_dataset(str(home))).tasks:
        yield from task.reader.batches(lambda bad: pytest.fail(str(bad)))


def shards(home: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(home / "1.0.0").items() if "tfrecord" in name}


def test_unsealing_gives_the_learnable_layer(lpe, keystore, plain, home, data_key, tmp_path):
    opened = tmp_path / "open" / "shapes"
    done = unseal(lpe, home, data_key, opened)
    assert done.code == 0, done.out
    assert shards(home).keys() == shards(opened).keys()
    assert lpe("verify", opened, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0
    assert unseal(lpe, home, data_key, opened, "--json").json["status"] == "skipped"


def test_the_owner_opens_the_seal_with_the_key_store(lpe, keystore, plain, home, tmp_path):
    assert lpe("verify", home).code == 0
    assert "every seal" in lpe("verify", home, "--keystore", keystore).out
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0
    back = tmp_path / "back" / "shapes"
    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore).code == 0
    assert shards(back) == shards(plain)
    KeyStore(keystore).rotate("patients")
    assert lpe("reencrypt", home, "--keystore", keystore).code == 0
    assert open_dataset(str(home)).sealed
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0


def test_a_killed_job_goes_on_and_unseals_to_the_same_bytes(lpe, keystore, tmp_path):
    words = ("encrypt", "--source", "synthetic:6000", "--keystore", keystore, "--key", "patients", "--output")
    home, opened, plain = (tmp_path / name / "shapes" for name in ("enc", "open", "plain"))
    process = start(*words, home, "--seal")
    wait_for_receipts(home, 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    work = home / "_work" / "1.0.0"
    receipts = [json.loads(path.read_text()) for path in work.glob("receipts/[!.]*.json")]
    finished = {name: (work / "data" / name).read_bytes() for name in (r["shard"]["file"] for r in receipts)}
    assert lpe(*words, home, "--seal").code == 0
    assert finished.items() <= shards(home).items()  # sealed anew, they would not be the same
    export = ("keys", "export", "patients", "--keystore", keystore, "--dataset", home, "--output")
    assert lpe(*export, tmp_path / "k").code == 0
    assert unseal(lpe, home, tmp_path / "k", opened).code == 0
    assert lpe("ingest", "--source", "synthetic:6000", "--output", plain).code == 0
    assert lpe("verify", opened, "--keystore", keystore, "--against", plain).code == 0


def test_show_opens_the_seal_with_the_key_store(lpe, keystore, home, data_key, tmp_path):
    opened, words = tmp_path / "open" / "shapes", ("--keystore", keystore, "--output")
    assert unseal(lpe, home, data_key, opened).code == 0
    for data, name in ((home, "a.png"), (opened, "b.png")):
        assert lpe("show", data, *words, tmp_path / name).code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_dataset_from_before_there_were_seals_decrypts(lpe, format_1, tmp_path):
    home, back = format_1 / "enc" / "shapes", tmp_path / "back" / "shapes"
    path = home / "1.0.0" / "encryption.json"
    path.write_text(re.sub(r',\n *"seal": null', "", path.read_text()))
    assert '"seal"' not in path.read_text()
    words = ("--output", back, "--keystore", format_1 / "keys")
    assert lpe("decrypt", "--source", f"dataset:{home}", *words).code == 0
    assert shards(back) == shards(format_1 / "plain" / "shapes")
    refused(unseal(lpe, home, tmp_path / "none", tmp_path / "o" / "s"), "not a sealed dataset")


def test_a_sealed_dataset_of_format_1_opens(lpe, format_1, tmp_path):
    home, back, opened = (
        format_1 / "sealed" / "shapes",
        tmp_path / "back" / "shapes",
        tmp_path / "o" / "shapes",
    )
    words = ("--keystore", format_1 / "keys")
    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, *words).code == 0
    assert shards(back) == shards(format_1 / "plain" / "shapes")
    assert lpe("keys", "export", "patients", *words, "--dataset", home, "--output", tmp_path / "k").code == 0
    assert unseal(lpe, home, tmp_path / "k", opened).code == 0
    assert lpe("verify", opened, *words, "--against", format_1 / "plain" / "shapes").code == 0
    in_memory, written = Shards(str(home), data_key=str(tmp_path / "k")), Shards(str(opened))
    assert all((a[0] == b[0]).all() for a, b in zip(in_memory, written, strict=True))


def test_tfds_reads_a_sealed_dataset(home):
    tfds = pytest.importorskip("tensorflow_datasets")
    builder = tfds.builder_from_directory(str(home / "1.0.0"))
    example = next(iter(builder.as_dataset(split="train")))
    assert example["image"].shape == (1, 1, 3072 + OVERHEAD)


def test_the_exported_key_opens_the_seal_without_our_code(home, data_key):
    value = json.loads(data_key.read_text())
    assert stat.S_IMODE(data_key.stat().st_mode) == 0o600
    (key,) = value["keyset"]["key"]
    secret = base64.b64decode(key["keyData"]["value"])[-32:]
    batch = next(sealed_batches(home))
    sealed = batch.images[0].tobytes()
    context = f"lpe/v2/sealed|{value['salt']}|{batch.labels[0]}|{batch.ids[0]}".encode()
    opened = AESGCM(secret).decrypt(sealed[:12], sealed[12:], context)
    shape = open_dataset(str(home)).image_shape
    assert opened == load_data_key(str(data_key)).unseal(batch, shape).images[0].tobytes()


def test_the_data_key_is_not_the_key_of_the_learnable_layer(lpe, keystore, home, data_key):
    secret = base64.b64decode(json.loads(data_key.read_text())["keyset"]["key"][0]["keyData"]["value"])[-32:]
    encryption = open_dataset(str(home)).encryption
    key = KeyStore(keystore).open("patients")
    assert secret == key.compute(f"lpe/v1|data-key|{encryption['salt']}".encode(), 32)
    assert secret not in prf_keys(keystore, "patients").values()
    everything = b"".join(files(home.parent).values()) + b"".join(files(Path(keystore)).values())
    assert not found([secret], everything)
    refused(
        lpe("decrypt", "--source", f"dataset:{home}", "--output", home, "--keystore", data_key.parent / "x")
    )


def test_keys_of_other_datasets_are_refused_before_anything_is_written(lpe, keystore, plain, home, tmp_path):
    other = tmp_path / "enc" / "other"
    encrypt(lpe, keystore, f"dataset:{plain}", other, "--seal")
    words = ("keys", "export", "patients", "--keystore", keystore, "--output", tmp_path / "k")
    assert lpe(*words, "--dataset", other).code == 0
    refused(lpe(*words, "--dataset", other), "exists; choose another --output")
    refused(unseal(lpe, home, tmp_path / "k", tmp_path / "o" / "s"), str(home), "of another dataset")
    assert not (tmp_path / "o").exists()
    refused(unseal(lpe, home, tmp_path / "none", tmp_path / "o" / "s"), "ask the dataset's owner")
    (tmp_path / "k").chmod(0o644)
    refused(unseal(lpe, home, tmp_path / "k", tmp_path / "o" / "s"), "chmod 600")
    refused(lpe(*words[:-1], "s3://bucket/k", "--dataset", home), "local --output")
    (tmp_path / "folder").mkdir(mode=0o700)
    refused(unseal(lpe, home, tmp_path / "folder", tmp_path / "o" / "s"), "name a file")
    (tmp_path / "bad").write_text('{"format_version": 1, "keyset": {"key": []}}')
    (tmp_path / "bad").chmod(0o600)
    refused(unseal(lpe, home, tmp_path / "bad", tmp_path / "o" / "s"), "not a data key")


def test_who_has_no_key_is_told_what_to_do(lpe, home, plain, tmp_path):
    refused(lpe("train", "--data", home, "--output", tmp_path / "run"), "is sealed", "lpe unseal")
    refused(lpe("show", home, "--output", tmp_path / "g.png"), "is sealed", "lpe unseal")
    refused(lpe("stats", "--source", f"dataset:{home}"), "is encrypted")
    refused(unseal(lpe, plain, tmp_path / "none", tmp_path / "o" / "s"), "not a sealed dataset")


def test_what_is_not_sealed_has_no_data_key(lpe, keystore, plain, tmp_path):
    home = tmp_path / "enc" / "open"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    words = ("keys", "export", "patients", "--keystore", keystore, "--output", tmp_path / "k")
    refused(lpe(*words, "--dataset", home), "not sealed")


def test_images_of_many_shapes_are_not_sealed(lpe, keystore, tmp_path):
    sizes = [(8, 8, 3), (9, 7, 3)]
    write(tmp_path / "in", {f"cat/{i}.png": encoded(pixels(i, size)) for i, size in enumerate(sizes)})
    outcome = encrypt(
        lpe, keystore, f"folder:{tmp_path}/in", tmp_path / "enc" / "s", "--seal", "--image-size", "any"
    )
    assert (outcome.code, "--image-size HEIGHTxWIDTH" in outcome.json["error"]) == (2, True)


def batch_of(draw_ids: list[str], shape: tuple[int, int, int], seed: int) -> ImageBatch:
    images = np.random.default_rng(seed).integers(0, 256, (len(draw_ids), *shape), np.uint8)
    return ImageBatch(draw_ids, images, np.zeros(len(draw_ids), np.int64))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.text(), max_size=5, unique=True),
    st.tuples(*[st.integers(1, 6)] * 3),
    st.integers(0, 2**32),
    st.binary(min_size=32, max_size=32),
    st.text(),
)
def test_unseal_undoes_seal(ids, shape, seed, secret, salt):
    batch, key = batch_of(ids, shape, seed), DataKey(secret, salt)
    opened = DataKey(secret, salt).unseal(key.seal(batch), shape)
    assert (opened.images == batch.images).all()


def test_every_flipped_bit_is_noticed():
    key, batch = DataKey(bytes(32), "salt"), batch_of(["a"], (2, 2, 1), 0)
    sealed = key.seal(batch)
    for bit in range(sealed.images.size * 8):
        images = sealed.images.copy()
        images.reshape(-1)[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError, match="sealed image a does not open"):
            key.unseal(sealed.replace_images(images), (2, 2, 1))


def test_another_salt_or_id_does_not_open():
    sealed = DataKey(bytes(32), "salt").seal(batch_of(["a"], (2, 2, 1), 0))
    for salt, image_id in (("other", "a"), ("salt", "b")):
        moved = ImageBatch([image_id], sealed.images, sealed.labels)
        with pytest.raises(DataError, match="does not open"):
            DataKey(bytes(32), salt).unseal(moved, (2, 2, 1))


def test_a_data_key_does_not_pickle_or_print():
    key = DataKey(bytes(range(32)), "salt")
    with pytest.raises(TypeError, match="must not be pickled"):
        pickle.dumps(key)
    assert repr(key) == "<DataKey, not shown>"
