"""Every job on s3:// and gs://, as on the local disk; and what happens when the service fails."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpe.pipeline import storage
from lpe.pipeline.dataset import committed_versions
from lpe.pipeline.keystore import KeyStore
from lpe.pipeline.storage import objects
from lpe.transforms.errors import DataError
from tests.pipeline.jobs.numbered_images import draw
from tests.pipeline.running import contents, encrypt, files, refused
from tests.pipeline.sources import images
from tests.servers.environment import services_at
from tests.servers.faults import Faults, at_random, spoiled
from tests.servers.gcs import gcs_server, make_bucket, metadata_service
from tests.servers.moto import ENVIRONMENT, LISTED_AT_ONCE, spoiled_bucket

SERVICES = ["s3", "gs"]


@pytest.fixture(scope="module")
def s3() -> Iterator[Faults]:
    with spoiled_bucket() as faults:
        yield faults


@pytest.fixture(scope="module")
def gs() -> Iterator[Faults]:
    with gcs_server() as url, spoiled(url) as faults, metadata_service() as host:
        where = {"STORAGE_EMULATOR_HOST": faults.url, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
        with services_at(where):
            make_bucket(url, "bucket")
            yield faults


@pytest.fixture(params=SERVICES)
def service(request) -> Iterator[tuple[str, Faults]]:
    """A root in the service's bucket, and what spoils it."""
    faults: Faults = request.getfixturevalue(request.param)
    faults.seen.clear()
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    yield f"{request.param}://bucket/{name}", faults
    faults.choose = lambda method, path: "none"


@pytest.fixture
def s3_root(s3, request) -> str:
    """A root in a bucket of S3, for what does not depend on the service."""
    return f"s3://bucket/{request.node.name}"


def download(directory: str, to: Path) -> Path:
    for path in objects.list_objects(directory.rstrip("/") + "/"):
        storage.write_atomic(str(to / path.removeprefix(directory).lstrip("/")), storage.read_bytes(path))
    return to


@pytest.mark.slow
def test_every_job_on_an_object_store(lpe, keystore, plain, service, tmp_path):
    root, _ = service
    local = tmp_path / "local"
    workers = 2 if root.startswith("s3") else 1

    def same(name: str) -> None:
        assert files(download(f"{root}/{name}", tmp_path / "got" / name)) == files(local / name)

    assert lpe("ingest", "--source", "synthetic:100", "--output", f"{root}/plain/shapes").code == 0
    assert lpe("ingest", "--source", "synthetic:100", "--output", local / "plain" / "shapes").code == 0
    same("plain")
    for place in (root, local):
        made = encrypt(
            lpe, keystore, f"dataset:{place}/plain/shapes", f"{place}/enc/shapes", "--workers", workers
        )
        assert made.code == 0, made.out
    same("enc")
    home = f"{root}/enc/shapes"
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{root}/plain/shapes").code == 0
    KeyStore(keystore).rotate("patients")
    again = lpe("reencrypt", home, "--keystore", keystore, "--retire-after", "7d", "--json")
    assert (again.code, again.json["retired"]) == (0, [f"{home}/1.0.0"]), again.out
    done = lpe(
        "reencrypt", home, "--keystore", keystore, "--retire-after", "0d", "--destroy-keys", "--json"
    ).json
    assert done["deleted"] == [f"{home}/1.0.0"]
    # The local dataset is still under the old key.
    assert [key["needed_by"] for key in done["kept_keys"]] == [[f"dataset {local}/enc/shapes/1.0.0"]]
    assert committed_versions(home) == ["1.0.1"]
    assert storage.list_names(home) == ["1.0.1"]
    back = tmp_path / "back" / "shapes"
    assert lpe("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore).code == 0
    assert contents(back) == contents(plain)
    assert lpe("show", home, "--keystore", keystore, "--output", tmp_path / "grid.png").code == 0


def test_shards_are_carried_over_by_the_service(lpe, service, tmp_path):
    root, _ = service
    for numbers in (range(12), range(15)):
        draw(tmp_path / "photos", numbers)
        for place in (f"{root}/plain/shapes", tmp_path / "plain" / "shapes"):
            words = ("ingest", "--source", f"folder:{tmp_path / 'photos'}", "--output", place)
            assert lpe(*words, *(["--append"] if len(numbers) > 12 else [])).code == 0
    assert files(download(f"{root}/plain", tmp_path / "got")) == files(tmp_path / "plain")


@pytest.mark.slow
def test_a_key_store_in_an_object_store(lpe, service, plain, tmp_path):
    root, _ = service
    keys = f"{root}/keys"
    refused(lpe("keys", "create", "patients", "--keystore", keys), "--kek")
    kek = tmp_path / "kek.json"
    KeyStore(str(tmp_path / "local")).create("other", kek=str(kek))
    assert lpe("keys", "create", "patients", "--keystore", keys, "--kek", kek).code == 0
    assert storage.list_names(keys) == ["patients.json", "patients.log.jsonl", "patients.meta.json"]
    home = tmp_path / "enc" / "shapes"
    assert encrypt(lpe, keys, f"dataset:{plain}", home).code == 0
    assert lpe("keys", "rotate", "patients", "--keystore", keys).code == 0
    assert lpe("reencrypt", home, "--keystore", keys).code == 0
    listed = lpe("keys", "list", "patients", "--keystore", keys, "--json").json
    assert [use["place"] for uses in listed["needed_by"].values() for use in uses] == [
        f"{home}/1.0.0",
        f"{home}/1.0.1",
    ]
    log = lpe("keys", "log", "patients", "--keystore", keys, "--json").json
    assert (log["ok"], len(log["events"])) == (True, 5)


IMAGES = {
    f"{split}/{'ab'[i % 2]}/{i}.png": images.encoded(images.pixels(i))
    for split in ("train", "test")
    for i in range(12)
}


@pytest.mark.parametrize(
    "kind",
    [
        "tar",
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in ("directory", "tar.gz", "zip", "cifar.tar", "cifar directory")
        ),
    ],
)
def test_images_in_an_object_store_are_read_as_local_ones(lpe, service, tmp_path, kind):
    """The digest too is that of the local source: the datasets are equal."""
    root, faults = service
    found = images.cifar10(python=False, count=20) if "cifar" in kind else IMAGES
    if kind.endswith("directory"):
        local, far = images.write(tmp_path / "pictures", found), f"{root}/pictures"
        for name, data in found.items():
            storage.write_atomic(f"{far}/{name}", data)
    else:
        local = images.pack(found, tmp_path / f"pictures.{kind.removeprefix('cifar.')}")
        far = f"{root}/{local.name}"
        storage.write_atomic(far, local.read_bytes())
    scheme = "cifar" if "cifar" in kind else "folder"
    faults.choose = at_random(0.03, seed=5)
    made = lpe("ingest", "--source", f"{scheme}:{far}", "--output", tmp_path / "far" / "shapes", "--json")
    assert made.code == 0, made.out
    assert lpe("ingest", "--source", f"{scheme}:{local}", "--output", tmp_path / "near" / "shapes").code == 0
    assert files(tmp_path / "far") == files(tmp_path / "near")


@pytest.mark.slow
def test_parquet_in_an_object_store(lpe, service, tmp_path):
    root, faults = service
    words = ("ingest", "--source", "synthetic:100", "--format", "parquet", "--output")
    for place in (root, tmp_path / "local"):
        assert lpe(*words, f"{place}/shapes").code == 0
        source = f"parquet:{place}/shapes/1.0.0/shapes-*-of-*.parquet"
        faults.choose = at_random(0.03, seed=5)
        read = tmp_path / ("far" if place == root else "near")
        assert lpe("ingest", "--source", source, "--output", read / "shapes").code == 0
    assert files(tmp_path / "far") == files(tmp_path / "near")
    faults.choose = at_random(0.1, seed=4)
    assert lpe("verify", f"{root}/shapes").code == 0
    assert files(download(f"{root}/shapes", tmp_path / "got")) == files(tmp_path / "local" / "shapes")
    refused(
        lpe("ingest", "--source", f"parquet:{root}/no*.parquet", "--output", tmp_path / "x"), "no such file"
    )


def test_labels_and_empty_classes_in_an_object_store(lpe, s3_root, tmp_path):
    for name, data in {**IMAGES, "train/c/": b"", "test/.x": b""}.items():
        storage.write_atomic(f"{s3_root}/pictures/{name}", data)
    rows = [f"{name},{len(name)}" for name in IMAGES]
    storage.write_atomic(f"{s3_root}/labels.csv", "\n".join(["path,label", *rows]).encode())
    command = ("ingest", "--source", f"folder:{s3_root}/pictures", "--output", tmp_path / "far" / "shapes")
    refused(lpe(*command, "--labels", f"{s3_root}/none.csv"), "none.csv: no such file")
    made = lpe(*command, "--labels", f"{s3_root}/labels.csv", "--json").json
    assert sum(split["examples"] for split in made["splits"].values()) == len(IMAGES)
    assert made["notes"] == ["hidden files passed over: 1 (it is test/.x)"]
    made = lpe(*command[:-1], tmp_path / "without" / "shapes", "--json").json
    assert sorted(made["notes"]) == [
        "class directories without an image, which are no classes: 1 (it is train/c)",
        "hidden files passed over: 1 (it is test/.x)",
    ]


def test_images_that_are_not_in_the_object_store_are_one_line(lpe, s3_root, tmp_path):
    home = tmp_path / "far" / "shapes"
    for far in (f"folder:{s3_root}/none", f"folder:{s3_root}/none.tar", f"cifar:{s3_root}/none.tar.gz"):
        refused(lpe("ingest", "--source", far, "--output", home), "none", "no such")
    whole = images.pack(IMAGES, tmp_path / "d.tar").read_bytes()
    for cut in (len(whole) // 2, len(whole) // 3 + 100):
        storage.write_atomic(f"{s3_root}/cut.tar", whole[:cut])
        refused(
            lpe("ingest", "--source", f"folder:{s3_root}/cut.tar", "--output", home), "damaged or cut off"
        )


def test_faults_that_pass_are_outlived(lpe, keystore, plain, service, tmp_path):
    root, faults = service
    home = f"{root}/enc/shapes"
    faults.choose = at_random(0.1, seed=3)
    made = encrypt(lpe, keystore, f"dataset:{plain}", home)
    assert made.code == 0, made.out
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0
    assert min(faults.seen.get(kind, 0) for kind in ("error", "reset", "cut")) > 0, faults.seen
    faults.choose = lambda method, path: "none"
    objects.delete([f"{home}/_work/lock"])  # its release is tried once: what stays runs out
    encrypt(lpe, keystore, f"dataset:{plain}", tmp_path / "local" / "shapes")
    assert files(download(home, tmp_path / "got")) == files(tmp_path / "local" / "shapes")


def test_a_large_object_is_written_in_parts_and_read_on_after_faults(service, monkeypatch):
    root, faults = service
    monkeypatch.setattr(objects, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(objects, "_READ_AHEAD", 1 << 20)
    data = random.Random(0).randbytes((9 << 20) + 5)
    faults.choose = at_random(0.25, seed=7)
    storage.write_atomic(f"{root}/x", data)
    objects.copy([(f"{root}/x", f"{root}/y")])
    assert objects.list_sizes(f"{root}/") == {f"{root}/{name}": len(data) for name in "xy"}
    with storage.open_read(f"{root}/y") as file:
        assert (file.read(10), file.tell()) == (data[:10], 10)
        assert file.seek(-7, os.SEEK_END) == len(data) - 7
        assert (file.read(), file.read()) == (data[-7:], b"")
        file.seek(3)
        assert file.read() == data[3:]
    with pytest.raises(FileNotFoundError):
        storage.open_read(f"{root}/z")
    assert faults.seen["cut"] > 1


def test_an_object_that_is_replaced_while_it_is_read_is_one_line(s3_root, monkeypatch):
    monkeypatch.setattr(objects, "_READ_AHEAD", 10)
    storage.write_atomic(f"{s3_root}/x", b"1" * 30)
    with storage.open_read(f"{s3_root}/x") as file:
        assert file.read(10) == b"1" * 10
        storage.write_atomic(f"{s3_root}/x", b"2" * 30)
        with pytest.raises(DataError, match=f"{s3_root}/x: was replaced while it was read"):
            file.read()


def test_a_listing_has_many_pages(s3_root):
    names = [f"{s3_root}/{number:02d}" for number in range(2 * LISTED_AT_ONCE + 1)]
    for name in reversed(names):
        storage.write_atomic(name, b"")
    assert objects.list_objects(f"{s3_root}/") == names


def test_slow_answers_are_waited_for(service):
    root, faults = service
    storage.write_atomic(f"{root}/x", b"1234")
    faults.choose = lambda method, path: "slow"
    assert storage.read_bytes(f"{root}/x") == b"1234"
    assert faults.seen["slow"] > 0


def test_a_service_that_stays_down_is_one_line_and_no_half_dataset(
    lpe, keystore, plain, service, tmp_path, monkeypatch
):
    """From the middle of the job on, no shard can be written; the next run writes the missing ones."""
    root, faults = service
    home = f"{root}/enc/shapes"
    monkeypatch.setattr(objects, "_FIRST_PAUSE", 0.01)
    real = objects.write

    def down(path, content):
        if "test.tfrecord" in path:
            objects.retrying(path, lambda: (_ for _ in ()).throw(ConnectionResetError("connection reset")))
        real(path, content)

    monkeypatch.setattr(objects, "write", down)
    failed = encrypt(lpe, keystore, f"dataset:{plain}", home)
    assert failed.code == 1
    assert (
        "connection reset; when the service can be reached, run the same command again"
        in failed.json["error"]
    )
    assert committed_versions(home) == []
    refused(lpe("verify", home), "no dataset here")
    finished = [path for path in objects.list_objects(f"{home}/") if "/receipts/train" in path]
    assert finished
    monkeypatch.undo()
    faults.seen.clear()
    written: list[str] = []
    faults.choose = lambda method, path: written.append(path) or "none"
    assert encrypt(lpe, keystore, f"dataset:{plain}", home).code == 0
    assert not [path for path in written if "receipts%2Ftrain" in path and "uploadType" in path]
    encrypt(lpe, keystore, f"dataset:{plain}", tmp_path / "local" / "shapes")
    assert files(download(home, tmp_path / "got")) == files(tmp_path / "local" / "shapes")


@pytest.mark.parametrize("last", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_publication_cut_in_the_middle_is_finished_by_the_next_run(
    lpe, keystore, plain, s3_root, monkeypatch, last
):
    home = f"{s3_root}/enc/shapes"
    real = objects.copy

    def cut(pairs):
        real(pairs[: len(pairs) // 2] if not last or len(pairs) > 1 else pairs)
        if not last or len(pairs) == 1:
            raise KeyboardInterrupt

    def cut_before_the_end(pairs):
        real(pairs)
        if len(pairs) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(objects, "copy", cut_before_the_end if last else cut)
    assert encrypt(lpe, keystore, f"dataset:{plain}", home).code == 130
    # Without its last file it is none; with it, it is whole.
    assert committed_versions(home) == (["1.0.0"] if last else [])
    monkeypatch.undo()
    assert encrypt(lpe, keystore, f"dataset:{plain}", home).code == 0
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0
    assert storage.list_names(home) == ["1.0.0"]


@pytest.mark.slow
def test_a_deletion_cut_in_the_middle_is_finished_by_the_next_run(lpe, keystore, plain, s3_root, monkeypatch):
    home = f"{s3_root}/enc/shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    KeyStore(keystore).rotate("patients")
    real = objects.delete

    def cut(paths):
        if len(paths) > 3 and "_work" not in paths[0]:
            real(paths[:2])
            raise KeyboardInterrupt
        real(paths)

    words = ("reencrypt", home, "--keystore", keystore, "--retire-after", "0d", "--json")
    monkeypatch.setattr(objects, "delete", cut)
    assert lpe(*words).code == 130
    assert committed_versions(home) == ["1.0.1"]
    monkeypatch.undo()
    assert "1.0.0" in storage.list_names(home)
    assert lpe(*words).code == 0
    assert storage.list_names(home) == ["1.0.1"]


def test_what_cannot_be_reached_is_one_line(lpe, service, tmp_path, monkeypatch):
    root, _ = service
    words = ("ingest", "--source", "synthetic:20", "--output")
    scheme = root.partition("://")[0]
    refused(
        lpe(*words, f"{scheme}://nobodys-bucket/home"),
        f"{scheme}://nobodys-bucket",
        "no such object or bucket",
    )
    refused(lpe("verify", f"{root}/nothing"), "no dataset here")
    refused(lpe(*words, "ftp://host/home"), "gs:// or s3://", code=2)
    monkeypatch.setattr(objects, "_FIRST_PAUSE", 0.01)
    name = "AWS_ENDPOINT_URL" if scheme == "s3" else "STORAGE_EMULATOR_HOST"
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    refused(lpe(*words, f"{scheme}://another/home"), f"{scheme}://another", "when the service can be reached")


def test_s3_without_credentials_is_one_line_at_once(lpe, s3, monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nonexistent")
    refused(lpe("ingest", "--source", "synthetic:20", "--output", "s3://unknown/home"), "no credentials")


def test_a_refusal_is_not_tried_again():
    tries = []

    class RefusalError(Exception):
        code = 403

    def refuse():
        tries.append(1)
        raise RefusalError

    with pytest.raises(Exception, match="s3://b/k: the service refuses access"):
        objects.retrying("s3://b/k", refuse)
    assert len(tries) == 1


def test_the_manifest_names_no_place(lpe, keystore, plain, service):
    """A dataset can be moved from one store to another."""
    root, _ = service
    encrypt(lpe, keystore, f"dataset:{plain}", f"{root}/enc/shapes")
    manifest = json.loads(storage.read_bytes(f"{root}/enc/shapes/1.0.0/encryption.json"))
    assert "bucket" not in json.dumps(manifest)
