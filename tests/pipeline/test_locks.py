"""Locks: never two holders, free again when a holder dies, on the local disk and in object stores."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import threading
import time
import uuid
from pathlib import Path

import pytest

from pipeline import leases, locks, remote
from tests.servers.gcs import gcs_server, make_bucket, metadata_service
from tests.servers.generations import generations_server
from tests.servers.moto import ENVIRONMENT, moto_server
from transforms.errors import BusyError

SPAWN = multiprocessing.get_context("spawn")


def hold(path: str, ready, release) -> None:
    with locks.held(path, "the thing"):
        ready.set()
        release.wait(60)


@contextlib.contextmanager
def held_elsewhere(path: str):
    """Another process holds the lock."""
    ready, release = SPAWN.Event(), SPAWN.Event()
    process = SPAWN.Process(target=hold, args=(path, ready, release))
    process.start()
    assert ready.wait(60)
    try:
        yield process
    finally:
        process.kill()
        process.join()


def test_one_holder_at_a_time(tmp_path):
    path = str(tmp_path / "sub" / "lock")
    with held_elsewhere(path):
        assert_busy(path)
    with locks.held(path, "the thing"):
        assert Path(path).stat().st_mode & 0o777 == 0o600


def assert_busy(path: str) -> None:
    with (
        pytest.raises(BusyError, match="the thing: another job is writing here"),
        locks.held(path, "the thing"),
    ):
        pytest.fail("two holders")


def test_a_holder_that_is_killed_lets_go(tmp_path):
    path = str(tmp_path / "lock")
    with held_elsewhere(path) as process:
        process.kill()
        process.join()
        with locks.held(path, "the thing"):
            pass


def test_waiting_pays(tmp_path):
    path = str(tmp_path / "lock")
    with held_elsewhere(path) as process, contextlib.ExitStack() as stack:
        threading.Timer(0.5, process.kill).start()
        started = time.monotonic()
        stack.enter_context(locks.held(path, "the thing", wait=30))
        assert 0.2 < time.monotonic() - started < 20


def test_the_file_goes_with_the_lock_also_after_an_error(tmp_path):
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), locks.held(str(path), "the thing", remove=True):
        raise ZeroDivisionError
    assert not path.exists()


def race(path: str, inside, most, rounds: int) -> None:
    for _ in range(rounds):
        with locks.held(path, "the thing", wait=60, remove=True):
            with inside.get_lock():
                inside.value += 1
                most.value = max(most.value, inside.value)
            with inside.get_lock():
                inside.value -= 1


def test_never_two_at_once_though_the_file_is_removed_each_time(tmp_path):
    inside, most = SPAWN.Value("i", 0), SPAWN.Value("i", 0)
    path = str(tmp_path / "l" / "lock")
    racers = [SPAWN.Process(target=race, args=(path, inside, most, 60)) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    assert (inside.value, most.value) == (0, 1)


class Shelf:
    """An object store with one object, which takes conditions at their word."""

    def __init__(self) -> None:
        self.found: leases.Found | None = None
        self.lose_answers = 0
        self._lock = threading.Lock()

    def read(self) -> leases.Found | None:
        return self.found

    def put(self, content: bytes, before: leases.Found | None) -> str | None:
        with self._lock:
            now = None if self.found is None else self.found.mark
            if now != (None if before is None else before.mark):
                return None
            self.found = leases.Found(content, uuid.uuid4().hex)
            if self.lose_answers:
                self.lose_answers -= 1
                raise ConnectionResetError
            return self.found.mark

    def delete(self, before: leases.Found) -> None:
        with self._lock:
            if self.found is not None and self.found.mark == before.mark:
                self.found = None


def test_a_lease_is_one_holders_and_is_given_back():
    shelf = Shelf()
    lease = leases.take_from(shelf, "s3://b/lock", 60)
    with lease:
        assert leases.take_from(shelf, "s3://b/lock", 60) is None
        assert json.loads(shelf.found.content).keys() == {"owner", "who", "until"}
    assert shelf.found is None


def test_a_lease_is_renewed_while_it_is_held():
    shelf = Shelf()
    with leases.take_from(shelf, "s3://b/lock", 0.6):
        first = shelf.found.mark
        time.sleep(1.2)
        assert shelf.found.mark != first
        assert leases.take_from(shelf, "s3://b/lock", 60) is None


def test_a_lease_whose_holder_died_is_followed_when_it_has_run_out():
    shelf = Shelf()
    lease = leases.take_from(shelf, "s3://b/lock", 0.3)  # taken, never entered: nobody renews it
    assert leases.take_from(shelf, "s3://b/lock", 60) is None
    time.sleep(0.4)
    with leases.take_from(shelf, "s3://b/lock", 60):
        follower = shelf.found
        with lease:  # the dead one comes back to life, and leaves the follower's lease alone
            pass
        assert shelf.found == follower


def test_of_many_who_try_at_once_one_succeeds():
    for _ in range(50):
        assert _winners(Shelf()) == 1


def _winners(store: leases.Store) -> int:
    taken: list[object] = []
    tries = [
        threading.Thread(target=lambda: taken.append(leases.take_from(store, "s3://b/l", 60)))
        for _ in range(4)
    ]
    for each in tries:
        each.start()
    for each in tries:
        each.join()
    return sum(each is not None for each in taken)


def test_an_answer_that_was_lost_is_no_lost_lease():
    shelf = Shelf()
    shelf.lose_answers = 1
    with leases.take_from(shelf, "s3://b/lock", 60):
        assert shelf.found is not None
    assert shelf.found is None


def test_an_object_that_is_no_lease_is_nobodys():
    shelf = Shelf()
    shelf.found = leases.Found(b"?", "x")
    assert leases.take_from(shelf, "s3://b/lock", 60) is not None


@pytest.fixture(scope="module")
def s3():
    with moto_server() as url, pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": url}.items():
            patch.setenv(name, value)
        remote.s3_client().create_bucket(Bucket="locks")
        yield "s3://locks"


@pytest.fixture
def gs():
    with gcs_server() as url, metadata_service() as host, pytest.MonkeyPatch.context() as patch:
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP"):
            patch.setenv(name, host)
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        make_bucket(url, "locks")
        yield "gs://locks"


@pytest.fixture
def generations():
    """gcp-storage-emulator ignores conditions, so that it can show nothing about them."""
    with generations_server() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        yield "gs://bucket"


@pytest.mark.parametrize("service", ["s3", "gs"])
def test_a_remote_lock(service, request):
    path = f"{request.getfixturevalue(service)}/home/_work/lock"
    with locks.held(path, "the thing"):
        assert_busy(path)
    with locks.held(path, "the thing"):
        pass


@pytest.mark.parametrize("service", ["s3", "generations"])
def test_conditions_are_kept(service, request):
    root = request.getfixturevalue(service)
    if service == "s3":
        one, two = (leases.S3Object(remote.s3_client(), root[5:], "object") for _ in range(2))
    else:
        one, two = (leases.GcsObject(remote.gcs_client(), root[5:], "object") for _ in range(2))
    assert one.read() is None
    mark = one.put(b"1", None)
    assert two.put(b"2", None) is None
    found = two.read()
    assert (found.content, found.mark) == (b"1", mark)
    assert two.put(b"2", found) is not None
    assert one.put(b"3", found) is None
    one.delete(found)
    assert two.read().content == b"2"
    two.delete(two.read())
    assert two.read() is None
    assert one.put(b"4", found) is None
