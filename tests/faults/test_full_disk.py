"""Disks that are really full: small ones in memory. Where none can be mounted, `test_failing_files` remains."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.running import encrypt, files, refused


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_named_and_the_job_goes_on_when_there_is_space(lpe, keystore, disk, tmp_path, workers):
    home, whole = disk / "shapes", tmp_path / "whole" / "shapes"
    more = ("--workers", workers)
    words = (
        "encrypt",
        "--source",
        "synthetic:300",
        "--output",
        home,
        "--keystore",
        keystore,
        "--key",
        "patients",
    )
    full = lpe(*words, *more)
    refused(
        full,
        f"lpe: {home}/_work/1.0.0-",
        "No space left on device",
        "free some space",
        "finished shards are kept",
    )
    assert ".tmp-" not in full.err
    assert not (home / "1.0.0").exists()
    subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
    assert lpe(*words, *more).code == 0
    assert encrypt(lpe, keystore, "synthetic:300", whole).code == 0
    assert files(home) == files(whole)


def test_a_full_disk_under_the_key_store_is_named(lpe, keystore, disk):
    store = disk / "keys"
    assert lpe("keys", "create", "patients", "--keystore", store).code == 0
    before = files(store)
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(free))
    refused(lpe("keys", "rotate", "patients", "--keystore", store), str(store), "No space left on device")
    assert files(store) == before
    ballast.unlink()
    assert len(lpe("keys", "rotate", "patients", "--keystore", store, "--json").json["keys"]) == 2
