"""Ninety days of an owner's policy: rotate every 30 days, retire for 7, destroy; killed again and again.

A night's run is a process of its own that is killed at its n-th step (a file written, moved or deleted). After
every run, killed or not, the dataset is looked at as a reader would.
"""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import random
import shutil
from pathlib import Path

import pytest

from lpe.pipeline import clock, storage
from lpe.pipeline.cli.app import main
from lpe.pipeline.dataset import committed_versions, open_dataset
from lpe.pipeline.encryption.batch_transforms import Decrypt
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.keystore import KeyStore
from lpe.pipeline.sources.plan import plan_dataset
from lpe.pipeline.storage import files
from tests.pipeline.running import contents, policy

START = datetime.datetime(2026, 1, 1, 2, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
KILLED = 137
_STEPS = ("write_atomic", "open_atomic", "delete", "publish_directory", "withdraw_directory")


def count_steps(kill_at: int | None) -> list[int]:
    """Has every step that changes a file counted, and the process killed before step `kill_at`."""
    count = [0]

    def counted(real):
        def step(*args, **kwargs):
            count[0] += 1
            if count[0] == kill_at:
                os._exit(KILLED)
            return real(*args, **kwargs)

        return step

    for name in _STEPS:
        step = counted(getattr(files, name))
        for module in (files, storage):  # where it is defined, and where others take it from
            setattr(module, name, step)
    shutil.rmtree = counted(shutil.rmtree)  # a deletion can be cut in the middle too
    return count


def night(home: str, keystore: str, moment: datetime.datetime, kill_at: int | None, steps) -> None:
    """One run of the schedule, in a process of its own."""
    count = count_steps(kill_at)
    with clock.fixed_at(moment):
        code = main([str(word) for word in policy(keystore, home)])
    steps.value = count[0]
    os._exit(code)


def run_night(home: Path, keystore: str, moment: datetime.datetime, kill_at: int | None) -> tuple[int, int]:
    """The exit code, and the steps taken."""
    context = multiprocessing.get_context("spawn")
    steps = context.Value("i", 0)
    process = context.Process(target=night, args=(str(home), keystore, moment, kill_at, steps))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode, steps.value


class Reader:
    """Looks at the dataset as it is now, and remembers what it saw."""

    def __init__(self, home: Path, keystore: str, original: dict[str, tuple[bytes, int]]) -> None:
        self.home, self.keystore, self.original = home, keystore, original
        self.keys_seen: set[int] = set()
        self._checked: dict[str, str] = {}

    def check(self) -> None:
        states = {key.id: key.state for key in KeyStore(self.keystore).keys("patients")}
        versions = committed_versions(str(self.home))
        assert versions
        for version in versions:
            key = open_dataset(str(self.home / version)).encryption["key"]["id"]
            assert states[key] == "enabled", f"{version} is visible and its key {key} is {states[key]}"
            self.keys_seen.add(key)
            self._decrypts(version)

    def _decrypts(self, version: str) -> None:
        """The version decrypts to the original images; looked at again only where a file has changed."""
        data = open_dataset(str(self.home / version))
        digest = data.digest()
        if self._checked.get(version) == digest:
            return
        encryption = Encryption.from_json(data.encryption, data.directory)
        restore = Decrypt(self.keystore, encryption, len(data.class_names)).open()
        found = {}
        for task in plan_dataset(data).tasks:
            for batch in task.reader.batches(lambda bad: pytest.fail(str(bad))):
                plain = restore(batch)
                for name, image, label in zip(plain.ids, plain.images, plain.labels, strict=True):
                    found[name] = (image.tobytes(), int(label))
        assert found == self.original
        self._checked[version] = digest


@pytest.fixture
def world(lpe, tmp_path) -> tuple[Path, str, Reader]:
    """A dataset encrypted on the first day under a keyset that rotates every 30 days."""
    keystore, plain, home = str(tmp_path / "keys"), tmp_path / "plain" / "shapes", tmp_path / "enc" / "shapes"
    with clock.fixed_at(START):
        KeyStore(keystore).create("patients", rotation_period="30d")
        assert lpe("ingest", "--source", "synthetic:40", "--output", plain).code == 0
        words = ("--output", home, "--keystore", keystore, "--key", "patients", "--hide-labels")
        assert lpe("encrypt", "--source", f"dataset:{plain}", *words).code == 0
    return home, keystore, Reader(home, keystore, contents(plain))


def live(lpe, world, kills: int) -> None:
    home, keystore, reader = world
    draw = random.Random(5)
    eventful = {30, 37, 60, 67, 90}
    killed = 0
    for day in range(1, 91):
        moment = START + day * DAY
        if day in eventful:
            # Killed a few times in a row, each time at another step; then left in peace.
            for _ in range(kills):
                code, _ = run_night(home, keystore, moment, kill_at=draw.randint(1, 25))
                assert code in (0, KILLED)
                killed += code == KILLED
                reader.check()
        with clock.fixed_at(moment):
            done = lpe(*policy(keystore, home))
        assert done.code == 0, done.out
        reader.check()
    assert killed >= kills
    store = KeyStore(keystore)
    keys = store.keys("patients")
    assert [key.state for key in keys] == ["destroyed", "destroyed", "enabled", "enabled"]
    assert reader.keys_seen == {key.id for key in keys}
    assert committed_versions(str(home)) == ["1.0.2", "1.0.3"]
    assert not (home / "_work").exists()
    trail = store.audit_log("patients")
    assert trail.problems == ()
    counts = [event["event"] for event in trail.events]
    for event, times in {
        "created": 1,
        "rotated": 3,
        "dataset re-encrypted": 3,
        "version retired": 3,
        "version deleted": 2,
        "destroyed": 2,
    }.items():
        assert counts.count(event) == times, json.dumps(trail.events, indent=1)


def test_ninety_days(lpe, world):
    live(lpe, world, kills=1)


@pytest.mark.slow
def test_ninety_days_of_kills(lpe, world):
    live(lpe, world, kills=8)


@pytest.mark.slow
def test_a_run_killed_at_every_single_step_is_finished_by_the_next(lpe, world):
    """The eventful nights, one step further each time: every step is the last one once."""
    home, keystore, reader = world
    for day in (30, 37):
        for step in range(1, 200):
            code, _ = run_night(home, keystore, START + day * DAY, kill_at=step)
            reader.check()
            if code == 0:
                break
            assert code == KILLED
        assert step > 3
    assert [key.state for key in KeyStore(keystore).keys("patients")] == ["destroyed", "enabled"]
    assert KeyStore(keystore).audit_log("patients").problems == ()
