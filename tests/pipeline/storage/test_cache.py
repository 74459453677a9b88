"""The local cache of objects: whole and right or absent, bounded, and shared."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import multiprocessing
import os
import pickle
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import pytest

from lpe.pipeline.storage import objects
from lpe.pipeline.storage.cache import FileCache
from lpe.pipeline.storage.download import Wanted, as_it_is
from lpe.transforms.errors import DataError, UsageError
from tests.servers.environment import services_at
from tests.servers.faults import Faults, spoiled
from tests.servers.gcs import gcs_server, make_bucket, metadata_service
from tests.servers.moto import spoiled_bucket

SIZE = 10_000
FORK = multiprocessing.get_context("fork")
OTHER = 61002
"""The number of a user that no account has."""


@pytest.fixture(scope="module")
def s3() -> Iterator[Faults]:
    with spoiled_bucket() as faults:
        yield faults


@pytest.fixture
def root(s3, request, monkeypatch) -> Iterator[str]:
    """A place in the bucket; `s3` spoils what comes from it, and counts."""
    monkeypatch.setattr(objects, "_FIRST_PAUSE", 0.01)
    s3.seen.clear()
    yield f"s3://bucket/{request.node.name}"
    s3.choose = lambda method, path: "none"


@pytest.fixture
def cache(tmp_path) -> FileCache:
    return FileCache(str(tmp_path / "cache"), 10 * SIZE)


def content(seed: int, size: int = SIZE) -> bytes:
    return hashlib.shake_128(bytes([seed])).digest(size)


def put(path: str, data: bytes) -> Wanted:
    with contextlib.closing(Path(f"/proc/self/fd/{_memory(data)}").open("rb")) as file:
        objects.write(path, file)
    return Wanted(path, len(data), hashlib.sha256(data).hexdigest())


def _memory(data: bytes) -> int:
    descriptor = os.memfd_create("object")
    os.write(descriptor, data)
    return descriptor


def many(root: str, count: int) -> list[Wanted]:
    return [put(f"{root}/shard-{i}", content(i)) for i in range(count)]


def read(cache: FileCache, wanted: Wanted) -> bytes:
    with cache.open(wanted) as file:
        return file.read()


def gets(faults: Faults) -> int:
    return sum(faults.seen.values())


def entries(cache: FileCache) -> list[Path]:
    return sorted(path for path in Path(cache.directory).iterdir() if path.name != ".lock")


def used(cache: FileCache) -> int:
    """The size of all that is there, while files come and go."""
    total = 0
    for path in entries(cache):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


@pytest.mark.parametrize("size", [0, SIZE, 9 * (1 << 20)])
@pytest.mark.parametrize("kind", ["sha256", "crc32c", "nothing recorded"])
def test_an_object_is_fetched_once(root, s3, tmp_path, kind, size):
    data = content(1, size)
    wanted = put(f"{root}/shard", data)
    if kind == "crc32c":
        wanted = Wanted(wanted.path, size, f"{google_crc32c.value(data):08x}")
    elif kind == "nothing recorded":
        wanted = as_it_is(wanted.path)
    cache = FileCache(str(tmp_path / "cache"), size + 1)
    assert read(cache, wanted) == data
    asked = gets(s3)
    with cache.open(wanted) as file:
        assert os.pread(file.fileno(), size, 0) == data
    assert read(pickle.loads(pickle.dumps(cache)), wanted) == data
    assert gets(s3) == asked
    assert Path(cache.directory).stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in entries(cache)] == [0o600]


def test_versions_do_not_mix_and_equal_shards_are_shared(root, cache):
    old, new = put(f"{root}/1.0.0/shard", content(1)), put(f"{root}/1.0.1/shard", content(2))
    same = put(f"{root}/1.0.2/shard", content(2))
    assert [read(cache, wanted) for wanted in (old, new, old, same)] == [
        content(1),
        content(2),
        content(1),
        content(2),
    ]
    assert len(entries(cache)) == 2
    unrecorded = as_it_is(old.path)
    assert read(cache, unrecorded) == content(1)
    put(old.path, content(3))
    assert read(cache, as_it_is(old.path)) == content(3)
    Path(cache.directory, _entry_of(cache, content(1), but=2)).unlink()
    with pytest.raises(DataError, match=r"shard: was replaced while it was read; run"):
        cache.open(unrecorded)


def _entry_of(cache: FileCache, data: bytes, but: int) -> str:
    found = [path.name for path in entries(cache) if path.read_bytes() == data]
    assert len(found) == but
    return max(found, key=lambda name: Path(cache.directory, name).stat().st_mtime_ns)


def test_the_least_recently_opened_go_first_and_the_bound_holds(root, s3, tmp_path):
    cache = FileCache(str(tmp_path / "cache"), 3 * SIZE)
    shards = many(root, 5)
    for i in (0, 1, 2, 0, 3):
        assert read(cache, shards[i]) == content(i)
        assert used(cache) <= 3 * SIZE
    asked = gets(s3)
    for i in (0, 2, 3):
        read(cache, shards[i])
    assert gets(s3) == asked
    read(cache, shards[1])
    assert gets(s3) > asked


def test_an_evicted_file_stays_readable_while_it_is_open(root, tmp_path):
    cache = FileCache(str(tmp_path / "cache"), SIZE)
    first, second = many(root, 2)
    with cache.open(first) as file:
        assert read(cache, second) == content(1)
        assert len(entries(cache)) == 1
        assert file.read() == content(0)


def test_what_is_larger_than_the_cache_is_one_line(root, tmp_path):
    cache = FileCache(str(tmp_path / "cache"), SIZE - 1)
    (wanted,) = many(root, 1)
    with pytest.raises(
        DataError, match=rf"{wanted.path}: its 10000 bytes do not fit .* larger --cache-bytes"
    ):
        cache.open(wanted)
    with pytest.raises(UsageError, match="holds nothing"):
        FileCache(str(tmp_path / "cache"), 0)


def test_what_comes_next_is_fetched_ahead_and_no_more_than_half_the_cache(root, s3, tmp_path):
    cache = FileCache(str(tmp_path / "cache"), 6 * SIZE)
    shards = many(root, 12)
    cache.expect(shards)
    _until(lambda: len(entries(cache)) == 3)
    time.sleep(0.05)
    assert len(entries(cache)) == 3
    for i, wanted in enumerate(shards):
        assert read(cache, wanted) == content(i)
        assert used(cache) <= 6 * SIZE
    # What will be opened again stays, though the others were opened later: a third of the dataset needs no download.
    _until(lambda: not any(path.name.startswith(".tmp-") for path in entries(cache)))
    kept = shards[6:]
    asked = gets(s3)
    cache.expect([*kept, *shards[:6]])
    for wanted in kept[:3]:
        read(cache, wanted)
    fetched = (gets(s3) - asked) // 2
    assert fetched <= 3


def test_what_is_not_opened_after_all_does_not_hold_up_the_rest(root, s3, tmp_path):
    cache = FileCache(str(tmp_path / "cache"), 4 * SIZE)
    shards = many(root, 6)
    objects.delete([shards[4].path])
    cache.expect(shards)
    read(cache, shards[3])
    with pytest.raises(FileNotFoundError):
        cache.open(shards[4])
    put(shards[4].path, content(4))
    assert read(cache, shards[4]) == content(4)
    _until(
        lambda: shards[5].checksum in {hashlib.sha256(path.read_bytes()).hexdigest() for path in whole(cache)}
    )


def whole(cache: FileCache) -> list[Path]:
    return [path for path in entries(cache) if not path.name.startswith(".tmp-")]


def _until(done) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_damaged_entry_is_removed_and_fetched_again(root, s3, cache):
    (wanted,) = many(root, 1)
    read(cache, wanted)
    (entry,) = entries(cache)
    flipped = bytearray(content(0))
    flipped[77] ^= 1
    for damaged in (bytes(flipped), content(0, SIZE // 2), b""):
        entry.write_bytes(damaged)
        assert read(cache, wanted) == content(0)
    asked = gets(s3)
    # Another process has not seen it, and a file that keeps its size and time is found out there.
    entry.write_bytes(flipped)
    assert read(FileCache(cache.directory, cache.most_bytes), wanted) == content(0)
    cache.discard(wanted)
    assert not entries(cache)
    assert read(cache, wanted) == content(0)
    assert gets(s3) > asked


def test_damage_on_the_way_is_fetched_again_and_damage_that_stays_is_one_line(root, s3, cache):
    (wanted,) = many(root, 1)
    spoil = iter(["none", "flip", "none", "cut"])
    # Not every service sends a checksum, which Amazon's client would compare.
    with services_at({"AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"}):
        objects.exists(root)  # which asks for the bucket
        s3.choose = lambda method, path: next(spoil, "none")
        assert read(cache, wanted) == content(0)
    assert s3.seen["flip"] == s3.seen["cut"] == 1
    put(wanted.path, content(9))
    cache.discard(wanted)
    theirs = hashlib.sha256(content(9)).hexdigest()
    line = f"{wanted.path}: checksum {theirs}, {wanted.checksum} was recorded, after 3 downloads"
    with pytest.raises(DataError, match=line):
        cache.open(wanted)
    put(wanted.path, content(0)[: SIZE // 2])
    with pytest.raises(DataError, match=f"{wanted.path}: 5000 bytes, 10000 were recorded"):
        cache.open(wanted)
    objects.delete([wanted.path])
    with pytest.raises(FileNotFoundError, match=wanted.path):
        cache.open(wanted)
    s3.choose = lambda method, path: "denied"
    with pytest.raises(DataError, match=f"{wanted.path}: the service refuses access"):
        cache.open(wanted)
    assert not entries(cache)


def test_processes_and_threads_that_want_one_object_download_it_once(root, s3, cache):
    wanted = put(f"{root}/shard", content(0))
    s3.seen.clear()
    s3.choose = lambda method, path: "slow" if method == "GET" else "none"
    process = FORK.Process(target=_exit_with, args=(cache, wanted))
    process.start()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda _: read(cache, wanted), range(2))) == {content(0)}
    process.join(20)
    assert process.exitcode == 0
    assert s3.seen["slow"] == 1


def _exit_with(cache: FileCache, wanted: Wanted) -> None:
    os._exit(read(cache, wanted) != content(0))


def test_processes_share_the_bound(root, tmp_path):
    cache = FileCache(str(tmp_path / "cache"), 2 * SIZE)
    shards = many(root, 4)
    processes = [FORK.Process(target=_read_all, args=(cache, shards, start)) for start in range(2)]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        time.sleep(0.005)
        assert used(cache) <= 2 * SIZE
    assert [process.exitcode for process in processes] == [0, 0]


def _read_all(cache: FileCache, shards: list[Wanted], start: int) -> None:
    order = list(range(len(shards)))
    order = order[start:] + order[:start]
    cache.expect([shards[i] for i in order])
    os._exit(not all(read(cache, shards[i]) == content(i) for i in order))


def test_a_process_killed_while_it_fetches_leaves_nothing_that_stays(root, s3, cache):
    first, second = many(root, 2)
    for wanted in (first, second):
        s3.choose = lambda method, path: "slow" if method == "GET" else "none"
        process = FORK.Process(target=read, args=(cache, first))
        process.start()
        _until(lambda: used(cache) > 0)
        process.kill()
        process.join(10)
        assert [path.name[:5] for path in entries(cache)] == [".tmp-"]
        s3.choose = lambda method, path: "none"
        # Whoever fetches it, or another one, tidies up.
        assert read(cache, wanted) == content([first, second].index(wanted))
        assert not any(path.name.startswith(".tmp-") for path in entries(cache))
        cache.discard(wanted)


def test_a_cache_that_another_may_change_is_refused(root, tmp_path):
    (wanted,) = many(root, 1)
    place = tmp_path / "cache"
    cache = FileCache(str(place), 2 * SIZE)
    read(cache, wanted)
    (entry,) = entries(cache)
    entry.chmod(0o622)
    with pytest.raises(DataError, match=f"{entry}: others than its owner may change it"):
        cache.open(wanted)
    entry.unlink()
    entry.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"{entry}: a link stands in the cache"):
        cache.open(wanted)
    entry.unlink()
    os.mkfifo(entry, 0o600)
    with pytest.raises(DataError, match=f"{entry}: not a regular file"):
        cache.open(wanted)
    entry.unlink()
    place.chmod(0o777)
    with pytest.raises(DataError, match=f"{place}: others than its owner may change it"):
        FileCache(str(place), 2 * SIZE)
    (tmp_path / "link").symlink_to(place)
    with pytest.raises(DataError, match="not a directory but a link"):
        FileCache(str(tmp_path / "link"), 2 * SIZE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_a_cache_of_another_user_is_refused(root, tmp_path):
    (wanted,) = many(root, 1)
    place = tmp_path / "cache"
    cache = FileCache(str(place), 2 * SIZE)
    read(cache, wanted)
    (entry,) = entries(cache)
    os.chown(entry, OTHER, OTHER)
    with pytest.raises(DataError, match=rf"{entry}: belongs to another user \(uid {OTHER}\)"):
        cache.open(wanted)
    os.chown(place, OTHER, OTHER)
    with pytest.raises(DataError, match=rf"{place}: belongs to another user \(uid {OTHER}\)"):
        FileCache(str(place), 2 * SIZE)


def test_a_full_disk_is_one_line_that_names_the_cache(root, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a file system")
    try:
        large = put(f"{root}/large", content(1, 1 << 20))
        small = put(f"{root}/small", content(2))
        cache = FileCache(str(disk / "cache"), 1 << 21)
        with pytest.raises(DataError, match=f"{disk}/cache: no space left on the disk of this cache; free"):
            cache.open(large)
        assert not entries(cache)
        assert read(cache, small) == content(2)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_google_s_service(tmp_path):
    with gcs_server() as url, spoiled(url) as faults, metadata_service() as host:
        where = {"STORAGE_EMULATOR_HOST": faults.url, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
        with services_at(where):
            make_bucket(url, "bucket")
            cache = FileCache(str(tmp_path / "cache"), 3 * SIZE)
            recorded = put("gs://bucket/shard", content(0))
            unrecorded = as_it_is(recorded.path)
            assert read(cache, recorded) == read(cache, unrecorded) == content(0)
            cache.discard(unrecorded)
            put(recorded.path, content(1))
            assert read(cache, recorded) == content(0)
            with pytest.raises(DataError, match="was replaced while it was read"):
                cache.open(unrecorded)
            assert read(cache, as_it_is(recorded.path)) == content(1)
            objects.delete([recorded.path])
            with pytest.raises(FileNotFoundError):
                as_it_is(recorded.path)
