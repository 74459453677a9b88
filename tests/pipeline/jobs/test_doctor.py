"""`lpe doctor`: planted faults, each found and with what to do about it, and none where all is well."""

from __future__ import annotations

import collections
import datetime
import json
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lpe.pipeline import clock
from lpe.pipeline.engine import cores, memory
from lpe.pipeline.jobs.doctor import machine, training
from lpe.pipeline.jobs.doctor.report import doctor
from lpe.pipeline.keystore import KeyStore
from lpe.pipeline.storage import objects
from lpe.transforms.extras import EXTRAS
from tests.conftest import Outcome
from tests.servers.environment import services_at
from tests.servers.faults import Faults
from tests.servers.gcs import gcs_server, make_bucket, metadata_service
from tests.servers.moto import spoiled_bucket

Fault = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _usual(monkeypatch):
    """No choice of a backend, and a machine without GPUs."""
    for name in ("KERAS_BACKEND", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(training, "_DEVICES", Path("/nowhere"))


@pytest.fixture
def the_fault(lpe) -> Fault:
    """Runs `lpe doctor`, which has to find one fault, to print what to do and to exit with 1."""

    def find(*words: object) -> dict[str, Any]:
        described = lpe("doctor", *words, "--json")
        assert described.code == 1
        assert (described.json["status"], described.json["ok"]) == ("error", False)
        (fault,) = [check for check in described.json["checks"] if check["status"] == "fault"]
        assert described.json["error"] == f"{fault['name']}: {fault['detail']}"
        if any("://" in str(word) for word in words):
            return fault  # a second time would take its time
        outcome = lpe("doctor", *words)
        assert outcome.code == 1
        assert outcome.out.splitlines().count(f"{fault['name']}: {fault['remedy']}") == 1
        return fault

    return find


def found(outcome: Outcome) -> dict[str, str]:
    """What was found, by what was looked at; nothing is a fault."""
    assert outcome.code == 0, outcome
    return {check["name"]: check["detail"] for check in outcome.json["checks"]}


@pytest.fixture(scope="module")
def s3() -> Iterator[Faults]:
    with spoiled_bucket() as faults:
        yield faults


@pytest.fixture
def spoil(s3) -> Iterator[Faults]:
    yield s3
    s3.choose = lambda method, path: "none"


def test_all_is_well(lpe, keystore, tmp_path):
    home = tmp_path / "not" / "there" / "yet"
    rows = found(lpe("doctor", "--keystore", keystore, "--storage", home, "--workers", 1, "--json"))
    assert rows["keyset patients"] == "opens under kek.json"
    assert "agrees with audit trails" in rows["clock"]
    assert f"{tmp_path}, where {home} would be made" in rows["storage"]
    assert {f"extra {extra}" for extra in EXTRAS} < rows.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
    (tmp_path / "not").mkdir()
    assert found(lpe("doctor", "--storage", tmp_path / "not", "--json"))["storage"].startswith(
        f"{tmp_path}/not: "
    )
    assert list((tmp_path / "not").iterdir()) == []


def test_nothing_has_to_be_named(lpe):
    rows = found(lpe("doctor", "--json"))
    assert "a job uses" in rows["cores"]
    assert rows["GPU"].startswith("none")
    assert "numpy 2." in rows["libraries"]


def test_no_secret_is_printed(lpe, keystore):
    secret = json.loads((Path(keystore) / "kek.json").read_text())["key"][0]["keyData"]["value"]
    wrapped = json.loads((Path(keystore) / "patients.json").read_text())["encryptedKeyset"]
    for words in ([], ["--json"]):
        outcome = lpe("doctor", "--keystore", keystore, *words)
        assert secret not in outcome.out + outcome.err
        assert wrapped not in outcome.out + outcome.err


def test_the_report_of_the_api_shows_itself(tmp_path):
    report = doctor(storage=str(tmp_path), workers=10**6)
    assert [fault.name for fault in report.faults] == ["cores", "memory"]
    assert report.remedies[0] == f"cores: give jobs here --workers {cores.usable_cores()}"
    assert "<td" in report._repr_html_()
    assert "give jobs here --workers" in report._repr_html_()


def test_the_extras_are_those_of_the_distribution():
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert {*EXTRAS, "dev", "dev-torch"} == set(project["optional-dependencies"])


# The installation.


def test_a_backend_that_is_not_installed(the_fault, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setitem(sys.modules, "torch", None)
    fault = the_fault()
    assert fault["name"] == "backend"
    assert "PyTorch, and torch cannot be imported" in fault["detail"]
    assert fault["remedy"] == "pip install -e '.[torch]'"


def test_a_backend_without_keras(the_fault, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    assert the_fault()["remedy"] == "pip install -e '.[train]'"


def test_a_backend_that_there_is_not(the_fault, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorfow")
    fault = the_fault()
    assert fault["detail"].endswith("did you mean tensorflow?")
    assert fault["remedy"] == "unset KERAS_BACKEND, or set it to one of these"


def test_whoever_trains_nothing_needs_no_backend(lpe, monkeypatch):
    for module in ("keras", "tensorflow", "jax", "torch"):
        monkeypatch.setitem(sys.modules, module, None)
    rows = found(lpe("doctor", "--json"))
    assert rows["backend"] == "none is installed: nothing can be trained here"
    assert rows["extra train"] == "without tensorflow, keras"


def test_a_gpu_that_the_backend_does_not_find(the_fault, monkeypatch, tmp_path):
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(training, "_DEVICES", tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    fault = the_fault()
    assert (fault["name"], fault["remedy"]) == ("GPU", "pip install 'jax[cuda13]'")
    assert fault["detail"] == "the machine has one, and JAX finds none"


def test_a_library_of_another_version(the_fault, monkeypatch, tmp_path):
    about = tmp_path / "keras-2.15.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: keras\nVersion: 2.15.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    fault = the_fault()
    assert fault["detail"].startswith("keras 2.15.0 is installed, and lpe needs keras")
    assert fault["remedy"] == "pip install 'keras<4,>=3.15'"


def test_a_missing_extra_for_a_bucket(the_fault, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.delitem(sys.modules, "lpe.pipeline.storage.s3", raising=False)
    objects._ask_for_bucket.cache_clear()
    fault = the_fault("--storage", "s3://elsewhere/enc")
    assert fault["detail"] == "s3://elsewhere: needs the extra aws"
    assert fault["remedy"] == "pip install -e '.[aws]'"


# The key store.


@pytest.mark.parametrize("made", [False, True], ids=["no folder", "no keyset"])
def test_no_key_store(the_fault, tmp_path, made):
    place = tmp_path / "store"
    if made:
        place.mkdir()
    fault = the_fault("--keystore", place)
    assert fault["name"] == "key store"
    assert fault["remedy"].endswith(f"lpe keys create NAME --keystore {place}")


def test_a_folder_that_others_may_change(the_fault, keystore):
    Path(keystore).chmod(0o777)
    fault = the_fault("--keystore", keystore)
    assert fault["name"] == "key store"
    assert fault["remedy"].endswith(f"chmod go-w {keystore}")


def test_a_missing_key_encryption_key(the_fault, keystore):
    (Path(keystore) / "kek.json").unlink()
    fault = the_fault("--keystore", keystore)
    assert fault["detail"] == f"{keystore}/kek.json: the key-encryption key is missing"
    assert fault["remedy"].startswith("restore it from your copy")


def test_a_key_encryption_key_that_others_can_read(the_fault, keystore):
    (Path(keystore) / "kek.json").chmod(0o644)
    fault = the_fault("--keystore", keystore)
    assert fault["name"] == "keyset patients"
    assert fault["remedy"] == f"run chmod 600 {keystore}/kek.json"


def test_another_key_encryption_key(the_fault, keystore, tmp_path):
    KeyStore(str(tmp_path / "other")).create("patients")
    shutil.copy(tmp_path / "other" / "kek.json", Path(keystore) / "kek.json")
    fault = the_fault("--keystore", keystore)
    assert "cannot be opened with its key-encryption key" in fault["detail"]
    assert fault["remedy"] == "restore it from your copy"


def test_one_damaged_keyset_of_two(the_fault, keystore):
    KeyStore(keystore).create("staff")
    path = Path(keystore) / "staff.json"
    path.write_bytes(path.read_bytes()[:50])
    assert the_fault("--keystore", keystore)["name"] == "keyset staff"


def test_a_key_store_without_tink(the_fault, keystore, monkeypatch):
    for name in list(sys.modules):
        if name.split(".")[0] == "tink" or name.startswith(
            ("lpe.pipeline.keystore", "lpe.pipeline.jobs.doctor.keystore")
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tink", None)
    fault = the_fault("--keystore", keystore)
    assert fault["name"] == "key store"
    assert fault["remedy"] == "pip install --force-reinstall tink"


def test_a_key_service_that_refuses(lpe, the_fault, spoil, tmp_path):
    import boto3  # noqa: PLC0415

    arn = boto3.client("kms", region_name="eu-west-1").create_key()["KeyMetadata"]["Arn"]
    store = str(tmp_path / "keys")
    KeyStore(store).create("patients", f"aws-kms://{arn}")
    rows = found(lpe("doctor", "--keystore", store, "--json"))
    assert rows["keyset patients"] == f"opens under aws-kms://{arn}"
    spoil.choose = lambda method, path: "denied"
    fault = the_fault("--keystore", store)
    assert fault["name"] == "keyset patients"
    assert fault["detail"].startswith(f"aws-kms://{arn}: no permission")
    assert fault["remedy"].startswith("allow this account kms:Encrypt and kms:Decrypt on the key")


def test_an_audit_trail_that_was_cut(the_fault, keystore):
    KeyStore(keystore).rotate("patients")
    log = Path(keystore) / "patients.log.jsonl"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    fault = the_fault("--keystore", keystore)
    assert "the end was removed" in fault["detail"]
    assert fault["remedy"].startswith(f"see lpe keys log patients --keystore {keystore}")


def test_a_rotation_that_is_due_is_a_note(lpe, keystore):
    KeyStore(keystore).rotate("patients", "1d")
    with clock.fixed_at(clock.now() + datetime.timedelta(days=2)):
        outcome = lpe("doctor", "--keystore", keystore)
    assert outcome.code == 0
    assert f"keyset patients: lpe keys rotate patients --keystore {keystore}" in outcome.out


# This machine.


def test_a_clock_behind_the_audit_trail(the_fault, keystore):
    with clock.fixed_at(clock.now() - datetime.timedelta(hours=3)):
        fault = the_fault("--keystore", keystore)
    assert (fault["name"], fault["remedy"]) == ("clock", "set the clock: sudo timedatectl set-ntp true")
    assert "before the newest entry of an audit trail" in fault["detail"]


def test_fewer_cores_than_workers(the_fault, monkeypatch, tmp_path):
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    fault = the_fault("--workers", 2)
    assert (fault["name"], fault["remedy"]) == ("cores", "give jobs here --workers 1")


def test_a_container_with_little_memory(the_fault, monkeypatch, tmp_path):
    (tmp_path / "max").write_text("1000000000\n")
    (tmp_path / "current").write_text("800000000\n")
    monkeypatch.setattr(memory, "_LIMIT", tmp_path / "max")
    monkeypatch.setattr(memory, "_USED", tmp_path / "current")
    fault = the_fault("--workers", 1)
    assert fault["detail"] == "0.2 GB free, 0.2 GB for each of 1 workers; each wants 0.5 GB"
    assert fault["remedy"] == "end other programs, or add memory"


def test_many_cores_need_not_all_have_memory(lpe, monkeypatch, tmp_path):
    (tmp_path / "max").write_text("900000000\n")
    (tmp_path / "current").write_text("0\n")
    monkeypatch.setattr(memory, "_LIMIT", tmp_path / "max")
    monkeypatch.setattr(memory, "_USED", tmp_path / "current")
    monkeypatch.setattr(machine, "usable_cores", lambda: 64)
    outcome = lpe("doctor")
    assert outcome.code == 0
    assert "memory: give jobs here --workers 1" in outcome.out.splitlines()


@pytest.mark.parametrize("name", ["disk", "temporary files"])
def test_a_full_disk(the_fault, monkeypatch, tmp_path, name):
    place, temporary = tmp_path / "enc", tmp_path / "tmp"
    for folder in (place, temporary):
        folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    full = str(place if name == "disk" else temporary)
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage(10**12, 0, 5 * 10**8 if path == full else 10**11)
    )
    fault = the_fault("--storage", place)
    assert fault["name"] == name
    assert fault["detail"] == f"{full}: 0.5 GB free"
    assert fault["remedy"].startswith(
        "free some space there, or" if name != "disk" else "free some space there or"
    )


def test_a_file_where_datasets_shall_be(the_fault, tmp_path):
    (tmp_path / "file").touch()
    fault = the_fault("--storage", tmp_path / "file" / "enc")
    assert fault == {
        "name": "storage",
        "status": "fault",
        "detail": f"{tmp_path}/file: a file stands where a folder is needed",
        "remedy": "choose another place",
    }


@pytest.mark.skipif(
    not Path("/sys/kernel").is_dir(), reason="a folder that not even root can write to is Linux's"
)
def test_a_folder_that_cannot_be_written_to(the_fault):
    fault = the_fault("--storage", "/sys/kernel")
    assert fault["name"] == "storage"
    assert fault["detail"].startswith("/sys/kernel: ")
    assert "choose another place" in fault["remedy"]


# Buckets.


def test_a_bucket_with_all_rights(lpe, spoil):
    rows = found(lpe("doctor", "--storage", "s3://bucket/enc", "--json"))
    names = ["list", "write", "read", "conditional write", "replace", "delete"]
    assert [name for name in rows if name.startswith("bucket")] == [f"bucket: {name}" for name in names]
    assert rows["clock"].endswith("agrees with the service")
    assert objects.list_objects("s3://bucket/enc/") == []


def test_a_missing_bucket(the_fault, spoil):
    fault = the_fault("--storage", "s3://nowhere/enc")
    assert (fault["name"], fault["remedy"]) == ("bucket: list", "aws s3 mb s3://nowhere")


@pytest.mark.parametrize(
    ("step", "methods", "right"),
    [
        ("write", ("PUT", "POST"), "s3:PutObject on s3://bucket"),
        ("delete", ("DELETE",), "s3:DeleteObject on s3://bucket"),
    ],
)
def test_a_right_that_is_missing(the_fault, spoil, step, methods, right):
    spoil.choose = lambda method, path: "denied" if method in methods else "none"
    fault = the_fault("--storage", f"s3://bucket/{step}")
    assert fault["name"] == f"bucket: {step}"
    assert right in fault["remedy"]


def test_the_clock_of_the_service(the_fault, spoil):
    with clock.fixed_at(clock.now() + datetime.timedelta(minutes=7)):
        fault = the_fault("--storage", "s3://bucket/enc")
    assert fault["name"] == "clock"
    assert "ahead of the service's" in fault["detail"]


def test_a_service_that_ignores_conditions(the_fault):
    with gcs_server() as url, metadata_service() as host:
        where = {"STORAGE_EMULATOR_HOST": url, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
        with services_at(where):
            make_bucket(url, "bucket")
            fault = the_fault("--storage", "gs://bucket/enc")
            assert objects.list_objects("gs://bucket/enc/") == []
    assert fault["name"] == "bucket: conditional write"
    assert (
        fault["detail"]
        == "gs://bucket/enc: the service ignores the conditions of a write, so that locks lock nothing"
    )
