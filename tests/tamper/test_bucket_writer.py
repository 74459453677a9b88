"""Whoever can read, write, delete and list all objects of the bucket, and has no key, against the owner's commands.

Nothing is written outside, nothing good is deleted, no key is destroyed on their word, and each refusal is one line.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import google_crc32c
import pytest

from lpe.pipeline import clock, storage
from lpe.pipeline.dataset import committed_versions, open_dataset
from lpe.pipeline.dataset.checksummed import with_checksum
from lpe.pipeline.keystore import KeyStore, Registry
from lpe.pipeline.sources.plan import plan_dataset
from lpe.pipeline.storage import objects
from lpe.pipeline.storage.s3 import client
from tests.pipeline.running import contents, encrypting, policy, refused
from tests.servers.environment import services_at
from tests.servers.gcs import gcs_server, make_bucket, metadata_service
from tests.servers.moto import ENVIRONMENT, moto_server
from tests.tamper import editing
from tests.tamper.owner import Owner, snapshot


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    with moto_server() as url, services_at({**ENVIRONMENT, "AWS_ENDPOINT_URL": url}):
        client().create_bucket(Bucket="written")
        yield


@pytest.fixture(scope="module")
def gs() -> Iterator[None]:
    with gcs_server() as url, metadata_service() as host:
        where = {"STORAGE_EMULATOR_HOST": url, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
        with services_at(where):
            make_bucket(url, "written")
            yield


@pytest.fixture
def home(s3, request) -> str:
    """Where the owner's dataset goes."""
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    return f"s3://written/{name}/enc/shapes"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A key store, a plain dataset and an encrypted one, made once; no test changes them."""
    folder = tmp_path_factory.mktemp("made")
    KeyStore(str(folder / "keys")).create("patients")
    owner = Owner(folder)
    owner.ingest("synthetic:20", "plain")
    owner.encrypt(f"dataset:{folder}/plain/shapes", "enc", cipher="lpe-100")
    return folder


@pytest.fixture
def keystore(made, tmp_path) -> str:
    """A key store of the test's own; it remembers datasets by where they were made."""
    shutil.copytree(made / "keys", tmp_path / "keys")
    return str(tmp_path / "keys")


@pytest.fixture
def plain(made, tmp_path) -> Path:
    shutil.copytree(made / "plain", tmp_path / "plain")
    return tmp_path / "plain" / "shapes"


@pytest.fixture
def encrypted(keystore, made, home) -> str:
    """The owner's dataset, in the bucket, which the key store knows of."""
    version = f"{home}/1.0.0"
    Registry(keystore).record_dataset("patients", KeyStore(keystore).keys("patients")[0].id, version)
    Registry(keystore).forget("patients", str(made / "enc" / "shapes" / "1.0.0"))
    for file in (made / "enc" / "shapes" / "1.0.0").iterdir():
        storage.write_atomic(f"{version}/{file.name}", file.read_bytes())
    return home


def objects_below(place: str) -> dict[str, bytes]:
    return {path: storage.read_bytes(path) for path in objects.list_objects(place.rstrip("/") + "/")}


def edited(version: str, to: str, folder: Path, change: Callable[[Path], None]) -> None:
    """Copies a version of the bucket to another place there, changed by a function of a local copy."""
    local = folder / storage.base_name(version)
    for path, data in objects_below(version).items():
        storage.write_atomic(str(local / path.removeprefix(f"{version}/")), data)
    change(local)
    for path in objects_below(to):
        storage.delete(path)
    for file in local.iterdir():
        storage.write_atomic(f"{to}/{file.name}", file.read_bytes())
    shutil.rmtree(local)


def states(keystore: str) -> list[str]:
    return [key.state for key in KeyStore(keystore).keys("patients")]


def all_refused(lpe, keystore, home: str, plain: Path, tmp_path: Path, *parts: str) -> None:
    """Everything that the owner does with the dataset is refused, and leaves all else as it was."""
    keys = tmp_path / "keys"
    local, bucket, before = snapshot(tmp_path, keys), objects_below(home), states(keystore)
    back = tmp_path / "back" / "shapes"
    for words in (
        ("verify", home, "--keystore", keystore),
        ("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore),
        (
            "reencrypt",
            home,
            "--keystore",
            keystore,
            "--cipher",
            "le",
            "--retire-after",
            "0d",
            "--destroy-keys",
        ),
    ):
        outcome = lpe(*words)
        # `verify` lists what is wrong with shards, and others show how far they came.
        lines = outcome.err.splitlines() or outcome.out.splitlines()
        assert outcome.code == 1, outcome
        assert "Traceback" not in outcome.err
        assert all(part in (lines[-1] if outcome.err else outcome.out) for part in parts), outcome
    assert not back.exists() or committed_versions(str(back)) == []
    assert (snapshot(tmp_path, keys), states(keystore)) == (local, before)
    assert objects_below(home) == bucket


# -- what is committed ---------------------------------------------------------------------------------------------


OUTSIDE = "x/../../../../plain/shapes/1.0.0/shapes-train"


def _hostile_split(version: Path) -> None:
    editing.edit_json(version / "dataset_info.json", lambda info: info["splits"][0].update(name=OUTSIDE))
    editing.commit_files(version)


def _hostile_template(version: Path) -> None:
    for template in ("../{DATASET}-{SPLIT}", "{SPLIT:>2000000000}"):
        editing.edit_json(
            version / "dataset_info.json",
            lambda info, template=template: info["splits"][0].update(filepathTemplate=template),
        )
    editing.commit_files(version)


def _swapped_shards(version: Path) -> None:
    one, other = sorted(version.glob("*.tfrecord-*"))
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def _without_encryption(version: Path) -> None:
    (version / "encryption.json").unlink()


def _without_commit(version: Path) -> None:
    (version / "dataset_info.json").unlink()


def _surrogate(version: Path) -> None:
    manifest = version / "encryption.json"
    manifest.write_text(manifest.read_text().replace('"cipher"', '"\\ud800": 1, "cipher"', 1))


@pytest.mark.parametrize(
    "change",
    [_hostile_split, _hostile_template, _swapped_shards, _without_encryption, _without_commit, _surrogate],
)
def test_a_changed_version_is_refused(lpe, keystore, plain, encrypted, tmp_path, change):
    version = f"{encrypted}/1.0.0"
    edited(version, version, tmp_path / "copy", change)
    (tmp_path / "copy").rmdir()
    all_refused(lpe, keystore, encrypted, plain, tmp_path)


def test_a_version_that_somebody_else_adds_is_refused(lpe, keystore, plain, encrypted, tmp_path):
    """It would be the newest, and the good one would be retired, deleted, and its key destroyed."""

    def newer(version: Path) -> None:
        editing.edit(version, lambda v: v.info.update(version="9.9.9"))

    edited(f"{encrypted}/1.0.0", f"{encrypted}/9.9.9", tmp_path / "copy", newer)
    (tmp_path / "copy").rmdir()
    all_refused(lpe, keystore, encrypted, plain, tmp_path, "9.9.9/encryption.json: not what the owner")
    refused(lpe(*encrypting(keystore, f"dataset:{plain}", encrypted)), "9.9.9/encryption.json: not what the")
    KeyStore(keystore).rotate("patients")
    refused(lpe(*policy(keystore, encrypted, retire_after="0d")[:-1]), "9.9.9/encryption.json: not what the")
    assert states(keystore) == ["enabled", "enabled"]
    assert "1.0.0" in committed_versions(encrypted)
    # What was written is found again when the stranger's is gone.
    storage.delete(f"{encrypted}/9.9.9")
    assert lpe("verify", encrypted, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0


def test_an_older_version_that_was_changed_does_not_pass_for_a_job_that_is_done(
    lpe, keystore, plain, encrypted, tmp_path
):
    words = encrypting(keystore, f"dataset:{plain}", encrypted)
    assert "1.0.0" in lpe(*words, "--json").json["dataset"]
    assert lpe(*words, "--cipher", "le").code == 0
    version = f"{encrypted}/1.0.0"
    edited(version, version, tmp_path / "copy", lambda path: editing.edit(path, _first_twice))
    refused(lpe(*words), "1.0.0/encryption.json: not what the owner")


def _first_twice(version: editing.Version) -> None:
    (shard,) = version.shards["train"]
    shard[1] = dataclasses.replace(shard[0], id=shard[1].id)


def test_stray_objects_do_no_harm(lpe, keystore, plain, encrypted, tmp_path):
    for name in ("1.0.0/notes.txt", "1.0.0/../x", "01.0.0/dataset_info.json", "_work/x/receipts/y.json", "x"):
        storage.write_atomic(f"{encrypted}/{name}", b"stray")
    KeyStore(keystore).rotate("patients")
    done = lpe("reencrypt", encrypted, "--keystore", keystore)
    assert done.code == 0, done
    assert committed_versions(encrypted) == ["1.0.0", "1.0.1"]
    assert lpe("verify", encrypted, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0
    assert storage.exists(f"{encrypted}/_work/x/receipts/y.json")  # which no job of ours made


# -- rollback and retirement ---------------------------------------------------------------------------------------

START = datetime.datetime(2026, 1, 1, 3, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def rotated(lpe, keystore, encrypted) -> str:
    """Re-encrypted on day 0: version 1.0.0 is retired, to be deleted with its key on day 7."""
    KeyStore(keystore).rotate("patients")
    with clock.fixed_at(START):
        done = lpe(*policy(keystore, encrypted))
    assert (done.code, committed_versions(encrypted)) == (0, ["1.0.0", "1.0.1"])
    return encrypted


def test_a_mark_of_retirement_that_is_older_than_the_log_says_deletes_nothing(lpe, keystore, rotated):
    mark = {"retired": "2025-12-01T03:00:00+00:00", "replaced_by": "1.0.1"}
    storage.write_atomic(f"{rotated}/1.0.0/retired.json", with_checksum(mark))
    with clock.fixed_at(START + DAY):
        done = lpe(*policy(keystore, rotated))
    assert (done.code, done.json["deleted"], done.json["destroyed_keys"]) == (0, [], [])
    assert states(keystore) == ["enabled", "enabled"]
    with clock.fixed_at(START + 8 * DAY):
        done = lpe(*policy(keystore, rotated))
    assert done.json["deleted"] == [f"{rotated}/1.0.0"]
    assert states(keystore) == ["destroyed", "enabled"]


def test_a_version_that_somebody_else_deleted_keeps_its_key(lpe, keystore, rotated):
    """There may be a copy of it, and the newest version may be damaged; the owner has seven days to see that."""
    storage.delete(f"{rotated}/1.0.0")
    with clock.fixed_at(START + DAY):
        done = lpe(*policy(keystore, rotated))
    assert (done.code, done.json["destroyed_keys"]) == (0, [])
    assert done.json["kept_keys"][0]["needed_by"] == [f"dataset {rotated}/1.0.0 (not found)"]
    assert states(keystore) == ["enabled", "enabled"]
    with clock.fixed_at(START + 8 * DAY):
        assert lpe(*policy(keystore, rotated)).code == 0
    assert states(keystore) == ["destroyed", "enabled"]


def test_a_newest_version_that_is_marked_as_retired_stays(lpe, keystore, rotated):
    mark = {"retired": "2025-12-01T03:00:00+00:00", "replaced_by": "1.0.0"}
    storage.write_atomic(f"{rotated}/1.0.1/retired.json", with_checksum(mark))
    with clock.fixed_at(START + DAY):
        done = lpe(*policy(keystore, rotated, retire_after="0d"))
    assert done.code == 0
    assert committed_versions(rotated) == ["1.0.1"]


def test_a_rollback_loses_no_key_and_is_done_again(lpe, keystore, plain, rotated):
    """The versions of a home hold the same images: the older one is re-encrypted as before."""
    before = objects_below(f"{rotated}/1.0.1")
    storage.delete(f"{rotated}/1.0.1")
    with clock.fixed_at(START + DAY):
        done = lpe(*policy(keystore, rotated, retire_after="7d"))
    assert (done.code, done.json["deleted"], done.json["destroyed_keys"]) == (0, [], [])
    assert objects_below(f"{rotated}/1.0.1") == before
    assert states(keystore) == ["enabled", "enabled"]


# -- unfinished jobs -----------------------------------------------------------------------------------------------


def cut_before_publication(lpe, monkeypatch, words) -> None:
    """Runs the owner's job, which is killed when all shards are finished and nothing is published."""

    def cut(pairs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(objects, "copy", cut)
    assert lpe(*words).code == 130
    monkeypatch.undo()


def replaced_shard(home: str) -> str:
    """Puts another shard in the place of a finished one, with a receipt that goes with it. Returns the receipt."""
    (path,) = [path for path in objects.list_objects(f"{home}/_work/") if "/receipts/train-00000" in path]
    receipt = json.loads(storage.read_bytes(path))
    shard = f"{path.partition('/receipts/')[0]}/data/{receipt['shard']['file']}"
    data = storage.read_bytes(shard)
    # The first record twice and the second not at all.
    length = len(data) // receipt["shard"]["examples"]
    data = data[:length] * 2 + data[2 * length :]
    storage.write_atomic(shard, data)
    receipt["shard"]["crc32c"] = f"{google_crc32c.value(data):08x}"
    receipt["shard"]["sha256"] = hashlib.sha256(data).hexdigest()
    ids = base64.b64decode(receipt["ids"])
    receipt["ids"] = base64.b64encode(b"12345678" + ids[8:]).decode()
    storage.write_atomic(path, json.dumps(receipt, indent=2).encode() + b"\n")
    return path


@pytest.mark.parametrize("service", ["s3", "gs"])
def test_nobody_else_can_finish_an_encrypted_shard(lpe, made, keystore, plain, monkeypatch, request, service):
    request.getfixturevalue(service)
    home = f"{service}://written/finish/enc/shapes"
    words = encrypting(keystore, f"dataset:{plain}", home)
    cut_before_publication(lpe, monkeypatch, words)
    replaced_shard(home)
    done = lpe(*words)
    assert done.code == 0, done
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0
    assert contents_of(home) == contents(made / "enc" / "shapes")


def contents_of(home: str) -> dict[str, tuple[bytes, int]]:
    out = {}
    for task in plan_dataset(open_dataset(home)).tasks:
        for batch in task.reader.batches(lambda bad: pytest.fail(str(bad))):
            for name, image, label in zip(batch.ids, batch.images, batch.labels, strict=True):
                out[name] = (image.tobytes(), int(label))
    return out


@pytest.mark.parametrize("change", ["shard", "mac", "other shard"])
def test_a_finished_shard_is_kept_only_as_it_was_written(lpe, keystore, plain, home, monkeypatch, change):
    words = encrypting(keystore, f"dataset:{plain}", home)
    cut_before_publication(lpe, monkeypatch, words)
    (path,) = [path for path in objects.list_objects(f"{home}/_work/") if "/receipts/train-00000" in path]
    receipt = json.loads(storage.read_bytes(path))
    if change == "shard":
        shard = f"{path.partition('/receipts/')[0]}/data/{receipt['shard']['file']}"
        storage.write_atomic(shard, storage.read_bytes(shard)[::-1])
    elif change == "mac":
        del receipt["mac"]
        storage.write_atomic(path, json.dumps(receipt).encode())
    else:
        storage.write_atomic(path, storage.read_bytes(path.replace("train-00000", "test-00000")))
    assert lpe(*words).code == 0
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0


def test_a_shard_of_plain_data_is_kept_only_as_its_receipt_says(lpe, home, plain, monkeypatch):
    words = ("ingest", "--source", "synthetic:20", "--output", home)
    cut_before_publication(lpe, monkeypatch, words)
    for path in objects.list_objects(f"{home}/_work/"):
        if ".tfrecord-" in path:
            storage.write_atomic(path, storage.read_bytes(path)[::-1])
    assert lpe(*words).code == 0
    assert lpe("verify", home).code == 0
    assert contents_of(home) == contents(plain)


def test_another_s_unfinished_job_is_not_continued(lpe, keystore, encrypted, tmp_path):
    storage.write_atomic(
        f"{encrypted}/_work/1.0.1-0123456789ab/plan.json", b'{"job": "00", "restart": false}'
    )
    KeyStore(keystore).rotate("patients")
    refused(lpe("reencrypt", encrypted, "--keystore", keystore), "an unfinished job with other settings")
    assert committed_versions(encrypted) == ["1.0.0"]


# -- locks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires", ["9999-12-31T23:59:59.999999+00:00", "2150-01-01T00:00:00+00:00", "soon"])
def test_a_lock_for_ever_does_not_pass_for_a_job_at_work(lpe, keystore, encrypted, expires):
    """A schedule leaves a dataset alone that another run holds, and says that all is well."""
    lock = {"owner": "0" * 32, "user": "mallory", "expires": expires}
    storage.write_atomic(f"{encrypted}/_work/lock", json.dumps(lock).encode())
    refused(
        lpe(*policy(keystore, encrypted)[:-1]), "/_work/lock: damaged (", "if nothing is running, delete it"
    )


def test_what_a_lock_says_of_its_holder_is_one_line(lpe, keystore, encrypted):
    lock = {"owner": "0" * 32, "user": "mal\nlory", "expires": "2026-01-01T00:00:00+00:00"}
    storage.write_atomic(f"{encrypted}/_work/lock", json.dumps(lock).encode())
    refused(lpe("reencrypt", encrypted, "--keystore", keystore), "/_work/lock: damaged (")
