"""Locks: on the local disk between processes; at s3:// against moto; at gs:// against a stub that checks generations.

gcp-storage-emulator ignores `ifGenerationMatch`, so it cannot show anything about locks.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lpe.pipeline.storage import gcs, leases, locks, objects, s3
from lpe.transforms.errors import BusyError, DataError, UsageError
from tests.servers.environment import services_at
from tests.servers.generations import generations_server
from tests.servers.moto import ENVIRONMENT, moto_server

_HOLDER = """
import sys, time
from lpe.pipeline.storage import leases, locks
path, lease = sys.argv[1:]
hold = leases.leased(path, "it", lease=float(lease)) if "://" in path else locks.held(path, "it")
with hold:
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def holder(path: object, lease: float = 60.0):
    """Another process that holds the lock until it is killed."""
    words = [sys.executable, "-c", _HOLDER, str(path), str(lease)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def together(number: int, work):
    """Runs `work(i)` in that many threads at once; returns what they return."""
    start, results = threading.Barrier(number, timeout=30), [None] * number

    def run(i):
        start.wait()
        results[i] = work(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# ---------------------------------------------------------------- local


def test_one_process_at_a_time(tmp_path):
    path = tmp_path / "new" / "lock"
    with holder(path), pytest.raises(BusyError) as refused, locks.held(str(path), "dataset shapes"):
        pass
    assert str(refused.value) == "dataset shapes: another job is writing here; wait for it to end"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_killed_process_holds_nothing(tmp_path):
    path = str(tmp_path / "lock")
    with holder(path) as process:
        process.kill()
        process.wait()
        with locks.held(path, "it") as lock:
            lock.check()


def test_waiting_gets_the_lock_when_it_is_released(tmp_path):
    path = str(tmp_path / "lock")
    with holder(path) as process:
        started = time.monotonic()
        with pytest.raises(BusyError), locks.held(path, "it", wait=0.3):
            pass
        assert 0.3 <= time.monotonic() - started < 5
        threading.Timer(0.3, process.kill).start()
        with locks.held(path, "it", wait=30):
            process.wait(1)


def test_the_file_goes_if_asked_and_only_after_the_block(tmp_path):
    path = tmp_path / "lock"
    with locks.held(str(path), "it"):
        pass
    assert path.exists()
    with locks.held(str(path), "it", remove=True):
        assert path.exists()
    assert not path.exists()


def test_a_lock_whose_file_was_deleted_is_lost_and_spares_the_next_holder(tmp_path):
    path = tmp_path / "lock"
    with locks.held(str(path), "it", remove=True) as first:
        path.unlink()
        with pytest.raises(BusyError, match="was deleted while this job ran; run the same command again"):
            first.check()
        with holder(path) as process:
            with pytest.raises(BusyError):
                first.check()
            process.kill()
    assert path.exists()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "work").touch()
    with pytest.raises(FileExistsError), locks.held(str(tmp_path / "work" / "lock"), "it"):
        pass


def _race(path: str, attempts: int, held) -> None:
    place = Path(path)
    for _ in range(attempts):
        with contextlib.suppress(BusyError), locks.held(path, "it", wait=0.002, remove=True):
            marker = place.with_name("marker")
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))  # fails where there are two
            marker.unlink()
            with held.get_lock():
                held.value += 1
        with contextlib.suppress(OSError):
            place.parent.rmdir()


def test_two_hundred_attempts_never_two_holders(tmp_path):
    context = multiprocessing.get_context("fork")
    held = context.Value("i", 0)
    path = str(tmp_path / "work" / "lock")
    processes = [context.Process(target=_race, args=(path, 50, held)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert held.value >= 50


# ---------------------------------------------------------------- s3://, gs://


@pytest.fixture(scope="module")
def servers():
    with moto_server() as s3, generations_server() as gs:
        where = {**ENVIRONMENT, "AWS_ENDPOINT_URL": s3, "STORAGE_EMULATOR_HOST": gs}
        with services_at(where) as patch:
            patch.delenv("AWS_PROFILE", raising=False)
            import boto3  # noqa: PLC0415

            boto3.client("s3").create_bucket(Bucket="bucket")
            yield


@pytest.fixture(params=["s3", "gs"])
def remote_lock(request, servers):
    return f"{request.param}://bucket/{request.node.name}/_work/lock"


class Store:
    """The object as somebody else sees it."""

    def __init__(self, path: str) -> None:
        self._bucket, _, self._name = path.partition("://")[2].partition("/")
        if path.startswith("s3"):
            import boto3  # noqa: PLC0415

            self._s3 = boto3.client("s3")
        else:
            from google.cloud import storage  # noqa: PLC0415

            self._s3 = None
            self._blob = storage.Client.create_anonymous_client().bucket(self._bucket).blob(self._name)

    def read(self) -> dict[str, str] | None:
        if self._s3 is None:
            return json.loads(self._blob.download_as_bytes()) if self._blob.exists() else None
        try:
            return json.loads(self._s3.get_object(Bucket=self._bucket, Key=self._name)["Body"].read())
        except self._s3.exceptions.NoSuchKey:
            return None

    def write(self, content: bytes) -> None:
        if self._s3 is None:
            self._blob.upload_from_string(content)
        else:
            self._s3.put_object(Bucket=self._bucket, Key=self._name, Body=content)


def lock_of(owner: str, seconds: float) -> bytes:
    """What a process with this lease writes, valid for so many seconds from now."""
    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return json.dumps({"owner": owner, "user": "ann", "expires": expires.isoformat()}).encode()


def test_a_remote_lock_is_an_object_that_goes_at_the_end(remote_lock):
    store = Store(remote_lock)
    with locks.held(remote_lock, "dataset shapes") as lock:
        lock.check()
        found = store.read()
        assert set(found) == {"owner", "user", "expires"}
        left = datetime.datetime.fromisoformat(found["expires"]) - datetime.datetime.now(datetime.UTC)
        assert 50 < left.total_seconds() <= 60
        with pytest.raises(BusyError) as refused, locks.held(remote_lock, "dataset shapes"):
            pass
        assert f"dataset shapes: another job is writing here (of {found['user']}, lock {remote_lock}" in str(
            refused.value
        )
        assert store.read() == found
    assert store.read() is None
    with locks.held(remote_lock, "dataset shapes"):
        pass


def test_a_lease_is_renewed_while_its_process_lives_and_runs_out_when_it_is_killed(remote_lock):
    with holder(remote_lock, lease=1.0) as process:
        with pytest.raises(BusyError), leases.leased(remote_lock, "it", wait=2.5, lease=1.0):
            pass
        process.kill()
        started = time.monotonic()
        with leases.leased(remote_lock, "it", wait=10, lease=1.0) as lease:
            lease.check()
    assert time.monotonic() - started < 5


def test_a_lock_is_taken_over_only_a_quarter_lease_after_it_ran_out(remote_lock):
    store = Store(remote_lock)
    store.write(lock_of("other", -8))
    with pytest.raises(BusyError, match="of ann"), locks.held(remote_lock, "it"):
        pass
    store.write(lock_of("other", -16))
    with locks.held(remote_lock, "it"):
        assert store.read()["owner"] != "other"
    assert store.read() is None


def test_a_lost_lease_is_noticed_and_left_to_its_new_owner(remote_lock):
    store = Store(remote_lock)
    with locks.held(remote_lock, "it") as lock:
        store.write(lock_of("other", 60))
        with pytest.raises(BusyError, match=r"another job took the lock .* run the same command again"):
            lock.check()
        with pytest.raises(BusyError):
            lock.check()
    assert store.read()["owner"] == "other"


def test_a_heartbeat_does_not_win_back_a_lost_lease(remote_lock):
    store = Store(remote_lock)
    with leases.leased(remote_lock, "it", lease=0.3) as lock:
        store.write(lock_of("other", 60))
        time.sleep(0.5)
        assert store.read()["owner"] == "other"
        with pytest.raises(BusyError):
            lock.check()


def test_an_answer_that_was_lost_loses_no_lock(remote_lock, monkeypatch):
    kind = s3.ConditionalObject if remote_lock.startswith("s3") else gcs.ConditionalObject
    write, answers = kind.write, iter([False, True, True, False])

    def cut_off(self, content, tag):
        written = write(self, content, tag)
        if next(answers, True):
            return written
        raise ConnectionResetError

    monkeypatch.setattr(kind, "write", cut_off)
    monkeypatch.setattr("lpe.pipeline.storage.objects._FIRST_PAUSE", 0.01)
    with locks.held(remote_lock, "it") as lock:
        lock.check()
        lock.check()
        lock.check()
    assert Store(remote_lock).read() is None


@pytest.mark.parametrize(
    "expired", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["new", "expired"]
)
def test_of_many_that_try_one_gets_a_remote_lock(remote_lock, expired):
    store = Store(remote_lock)
    done = threading.Barrier(4, timeout=30)

    def attempt(i):
        try:
            with leases.leased(remote_lock, "it", lease=60):
                done.wait()  # holds on until all have tried
                return 1
        except BusyError:
            done.wait()
            return 0

    for _ in range(5):
        if expired:
            store.write(lock_of("dead", -100))
        assert sum(together(4, attempt)) == 1


@pytest.mark.slow
def test_many_attempts_never_two_holders_of_a_remote_lock(remote_lock):
    inside = threading.Lock()
    each = 50 if remote_lock.startswith("gs") else 10  # clients of S3 take their time

    def attempts(i):
        times = 0
        for _ in range(each):
            with contextlib.suppress(BusyError), leases.leased(remote_lock, "it", lease=60):
                assert inside.acquire(blocking=False)
                inside.release()
                times += 1
        return times

    counts = together(4, attempts)
    assert None not in counts
    assert sum(counts) >= each


def test_what_is_no_lock_is_not_taken(remote_lock):
    Store(remote_lock).write(b"my notes")
    with pytest.raises(DataError, match=r"no lock of lpe; .* delete it"), locks.held(remote_lock, "it"):
        pass


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_missing_bucket_is_named(servers, scheme):
    with (
        pytest.raises(FileNotFoundError, match="no-such-bucket"),
        locks.held(f"{scheme}://no-such-bucket/lock", "it"),
    ):
        pass


def test_missing_credentials_and_other_schemes_are_named(servers, monkeypatch):
    def refusal(path):
        with pytest.raises((DataError, UsageError)) as refused, locks.held(path, "it"):
            pass
        return str(refused.value)

    assert "hdfs://x/lock: files are local, or at gs:// or s3://" in refusal("hdfs://x/lock")
    objects._ask_for_bucket.cache_clear()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "no credentials; set AWS_ACCESS_KEY_ID" in refusal("s3://bucket/lock")
