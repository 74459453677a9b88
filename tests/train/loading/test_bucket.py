"""Training from a bucket, through a cache; and shards that are left out because they are bad."""

import dataclasses
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lpe.data import Shards
from lpe.pipeline import storage
from lpe.pipeline.cli.app import main
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.dataset.cached import default_directory
from lpe.pipeline.storage import objects
from lpe.train.evaluate import evaluate
from lpe.train.loading import bad_shards
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.inputs import training_input
from lpe.train.loop import fit
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError, UsageError
from tests.servers.environment import services_at
from tests.servers.gcs import gcs_server, make_bucket
from tests.servers.moto import spoiled_bucket
from tests.train.datasets import ENCRYPTION, toy_images, write_dataset
from tests.train.running import metrics, run_python

NUMBERS = itertools.count()
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def s3():
    with spoiled_bucket() as faults:
        yield faults


@functools.cache
def client():
    from lpe.pipeline.storage import s3  # noqa: PLC0415  (boto3, which may not be installed)

    return s3.client()


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The home of a dataset of six shards."""
    return write_dataset(tmp_path_factory.mktemp("data") / "toy", {"train": toy_images(120, 0)}, shards=6)


@pytest.fixture
def bucket(s3, parts, monkeypatch):
    """The same dataset in a bucket."""
    monkeypatch.setattr(objects, "_FIRST_PAUSE", 0.01)
    home = f"s3://bucket/{next(NUMBERS)}/toy"
    upload(parts, home)
    yield home
    s3.choose = lambda method, path: "none"


@pytest.fixture(scope="module")
def google(parts):
    """The same dataset in a bucket of Google's."""
    with gcs_server() as url, services_at({"STORAGE_EMULATOR_HOST": url}):
        make_bucket(url, "bucket")
        for path in Path(parts, "1.0.0").iterdir():
            storage.write_atomic(f"gs://bucket/toy/1.0.0/{path.name}", path.read_bytes())
        yield "gs://bucket/toy"


def upload(home, to):
    bucket, name = objects.split_path(to)
    for path in Path(home).rglob("*"):
        if path.is_file():
            client().put_object(Bucket=bucket, Key=f"{name}/{path.relative_to(home)}", Body=path.read_bytes())


def third(parts):
    return sum(path.stat().st_size for path in Path(parts).rglob("toy-train*")) // 3


def shard(home, number, split="train"):
    return f"{home}/1.0.0/toy-{split}.tfrecord-{number:05d}-of-00006"


def epoch(shards):
    return [(images.tobytes(), labels.tolist()) for images, labels in shards]


def change(path, damage):
    storage.write_atomic(path, damage(storage.read_bytes(path)))


def flip(data):
    return data[:999] + bytes([data[999] ^ 1]) + data[1000:]


def half(data):
    return data[: len(data) // 2]


BARE = """
import hashlib, sys
for name in ("apache_beam", "tensorflow", "keras", "tink", "torch"):
    sys.modules[name] = None
from lpe.data import Shards
for home in sys.argv[2:]:
    print(*(hashlib.sha256(images).hexdigest() for images, _ in Shards(home, batch_size=16, cache=sys.argv[1])))
"""


def test_a_bucket_is_read_without_beam(parts, bucket, google, tmp_path):
    want = " ".join(hashlib.sha256(images).hexdigest() for images, _ in Shards(parts, batch_size=16))
    assert run_python(BARE, str(tmp_path / "cache"), bucket, google).splitlines() == [want, want]


def test_epochs_through_a_small_cache_are_those_of_local_files(parts, bucket, s3, tmp_path):
    room = third(parts)
    far = Shards(bucket, batch_size=16, shuffle=True, seed=5, cache=str(tmp_path / "cache"), cache_bytes=room)
    near = Shards(parts, batch_size=16, shuffle=True, seed=5, memory_bytes=room)
    for _ in range(3):
        assert epoch(far) == epoch(near)
        files = list((tmp_path / "cache").iterdir())
        assert 0 < sum(path.stat().st_size for path in files) <= room
    assert far[77][1] == near[77][1]
    # What is open in this process takes no more than another cache, though its files may have been evicted.
    maps = Path("/proc/self/maps").read_text().splitlines()
    assert len({line.split()[5] for line in maps if str(tmp_path) in line and "(deleted)" in line}) <= 2


def test_processes_share_a_cache(parts, bucket, tmp_path):
    room = third(parts)
    want = epoch(Shards(parts, batch_size=16, shuffle=True, memory_bytes=room))
    far = Shards(bucket, batch_size=16, shuffle=True, cache=str(tmp_path / "cache"), cache_bytes=room)
    next(iter(far))
    far.set_epoch(0)
    process = FORK.Process(target=_exit_with, args=(far, want))
    process.start()
    assert epoch(far) == want
    process.join(30)
    assert process.exitcode == 0


def _exit_with(shards, want):
    os._exit(epoch(shards) != want)


@pytest.mark.parametrize("damage", [flip, half, None], ids=["flipped bit", "half", "missing"])
def test_a_bad_shard_is_one_line_or_left_out(bucket, parts, tmp_path, caplog, damage):
    place = shard(bucket, 4)
    if damage is None:
        objects.delete([place])
    else:
        change(place, damage)
    reason = "missing" if damage is None else "recorded"
    room = {"cache": str(tmp_path / "cache"), "cache_bytes": third(parts)}
    with pytest.raises(DataError, match=rf"{place}: .*{reason}.* restore"):
        epoch(Shards(bucket, **room))
    fewer = Shards(bucket, on_bad_shard="skip", **room)
    assert [record.getMessage().startswith(f"warning: left out: {place}: ") for record in caplog.records] == [
        True
    ]
    images = np.concatenate([images for images, _ in fewer])
    whole = np.concatenate([images for images, _ in Shards(parts)])
    assert (images == np.delete(whole, range(80, 100), 0)).all()


def test_what_is_not_the_shard_s_fault_is_not_left_out(bucket, s3, tmp_path):
    s3.choose = lambda method, path: "denied" if "00004-of" in path else "none"
    with pytest.raises(DataError, match=rf"{shard(bucket, 4)}: the service refuses access"):
        Shards(bucket, on_bad_shard="skip", cache=str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"do not fit into the cache .*larger --cache-bytes"):
        Shards(bucket, on_bad_shard="skip", cache=str(tmp_path / "cache"), cache_bytes=100)
    with pytest.raises(UsageError, match="give fail or skip"):
        Shards(bucket, on_bad_shard="ignore")


def test_a_dataset_of_tfds_s_own_has_no_checksums_but_those_of_its_records(bucket, parts, tmp_path):
    objects.delete([f"{bucket}/1.0.0/manifest.json"])
    room = {"cache": str(tmp_path / "cache"), "cache_bytes": third(parts)}
    assert epoch(Shards(bucket, **room)) == epoch(Shards(parts))
    change(shard(bucket, 2), flip)
    with pytest.raises(DataError, match=f"{shard(bucket, 2)}: .*damaged"):
        epoch(Shards(bucket, **room))
    assert sum(len(labels) for _, labels in Shards(bucket, on_bad_shard="skip", **room)) == 100


def test_a_run_from_a_bucket_is_that_from_local_files(s3, toy, spec, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_directory() == str(tmp_path / "lpe")
    upload(toy, "s3://bucket/whole/toy")
    far = dataclasses.replace(spec, data="s3://bucket/whole/toy", output=str(tmp_path / "run"))
    fit(far)
    assert metrics(far.output) == metrics(spec.output)
    assert len(list((tmp_path / "lpe").glob("[0-9a-f]*"))) == 3
    near = evaluate(load_run(spec.output), toy)
    words = ["evaluate", "--run", spec.output, "--data", far.data, "--json"]
    assert main([*words, "--cache", str(tmp_path / "a"), "--cache-bytes", "1MB"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == near.accuracy
    assert main([*words, "--cache-bytes", "much"]) == 2
    assert "give a size such as 500MB, 20GB" in capsys.readouterr().out
    # Another cache is no other run.
    assert fit(dataclasses.replace(far, cache=str(tmp_path / "other"), cache_bytes=10**10)).skipped


def test_bad_shards_are_left_out_of_a_whole_run(toy, spec, tmp_path, caplog, capsys):
    home = tmp_path / "toy"
    shutil.copytree(toy, home)
    bad = home / "1.0.0" / "toy-train.tfrecord-00001-of-00003"
    change(str(bad), flip)
    spec = dataclasses.replace(
        spec, data=str(home), output=str(tmp_path / "run"), epochs=1, on_bad_shard="skip"
    )
    result = fit(spec)
    assert len([record for record in caplog.records if bad.name in record.getMessage()]) == 1
    assert result.bad_shards == (bad.name,)
    assert result.properties()["bad shards"] == "1, left out"
    assert [(line["bad_shards"], line["bad_shard_images"]) for line in metrics(spec.output)] == [(1, 67)]
    assert fit(spec).skipped
    # A run has the same shards from its beginning to its end.
    shutil.copy(Path(toy, "1.0.0", bad.name), bad)
    with pytest.raises(DataError, match=r"other settings \(bad_shards\)"):
        fit(spec)
    for path in home.rglob("toy-train*"):
        path.unlink()
    with pytest.raises(DataError, match="0 training images are too few"):
        fit(dataclasses.replace(spec, output=str(tmp_path / "none")))
    words = ["train", "--data", str(home), "--output", str(tmp_path / "cli"), "--on-bad-shard"]
    assert main([*words, "skip"]) == 1
    assert "0 training images are too few" in capsys.readouterr().err
    assert main([*words, "fail"]) == 1
    assert "this shard is missing" in capsys.readouterr().err


def test_a_bad_augmented_copy_leaves_out_what_it_is_a_copy_of(tmp_path):
    images, labels = toy_images(90, 0)
    augmentation = {"split": "train", "copies": 1, "kinds": ["flip"], "seed": 0}
    home = write_dataset(
        tmp_path / "toy",
        {"train": (images, labels), "train_augmented_1": (images[:, :, ::-1], labels)},
        encryption={**ENCRYPTION, "augmentation": augmentation},
    )
    files = ShardFiles(open_dataset(home))
    (copy,) = files.dataset.copies("train")
    Path(files.dataset.shard_paths(copy)[2]).unlink()
    left_out = bad_shards.to_leave_out(files)
    assert left_out.figures() == {"bad_shards": 1, "bad_shard_images": 30}
    inputs = training_input(files, batch_size=1, seed=0, validation_fraction=0.1, left_out=left_out)
    assert inputs.train.count + inputs.validation.count == 60
    for e in range(2):
        for number in range(inputs.train.steps):
            inputs.train.batch(e, number)


def test_google_s_service(parts, google, tmp_path):
    far = Shards(google, cache=str(tmp_path / "cache"), cache_bytes=third(parts))
    assert epoch(far) == epoch(Shards(parts))
