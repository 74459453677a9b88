"""--digest and the notes of what a folder's job passed over, as its user meets them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lpe.pipeline.sources import folder
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from tests.pipeline.running import contents, refused
from tests.pipeline.sources import images

FILES = {f"{'ab'[i % 2]}/{i:03d}.pgm": b"P5 4 4 255\n" + bytes([i] * 16) for i in range(160)}
NAMES = ("--digest", "names-and-sizes", "--image-size", "4x4")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return images.write(tmp_path / "d", FILES)


def names_of_shards(root: Path) -> list[list[str]]:
    """The files of each shard that --digest names-and-sizes makes of the folder."""
    from lpe.pipeline.sources.base import ReadOptions  # noqa: PLC0415

    options = ReadOptions(image_size=(4, 4), digest="names-and-sizes")
    with open_plan(ReadSpec(f"folder:{root}", options)) as plan:
        return [list(task.reader.images.files.names) for task in plan.tasks]


def test_a_job_that_is_run_again_reads_nothing_of_finished_shards(root, tmp_path, lpe):
    first, second = names_of_shards(root)
    home = tmp_path / "plain" / "d"
    command = ("ingest", "--source", f"folder:{root}", "--output", home, *NAMES, "--workers", "1", "--json")
    damaged = root / second[3]
    damaged.write_bytes(b"X" * len(FILES[second[3]]))
    assert lpe(*command).code == 1
    assert len(list(home.glob("_work/*/receipts/[!.]*.json"))) == 1
    damaged.write_bytes(FILES[second[3]])
    for name in first:  # of the same size: whoever reads them fails
        (root / name).write_bytes(b"X" * len(FILES[name]))
    assert lpe(*command).json["status"] == "ok"
    assert sorted(pixels for pixels, _ in contents(home).values()) == sorted(
        bytes([data[-1]] * 48) for data in FILES.values()
    )
    # What it says of itself: the same names and sizes are the same job.
    assert lpe(*command).json["status"] == "skipped"
    (root / second[0]).write_bytes(FILES[second[0]] + b"\n")
    for name in first:
        (root / name).write_bytes(FILES[name])
    assert "holds a different dataset" in lpe(*command).json["error"]


def test_with_contents_other_bytes_are_another_job(root, tmp_path, lpe):
    command = ("ingest", "--source", f"folder:{root}", "--output", tmp_path / "plain" / "d", "--json")
    assert lpe(*command).json["status"] == "ok"
    assert lpe(*command).json["status"] == "skipped"
    (root / "a/000.pgm").write_bytes(FILES["a/000.pgm"][:-1] + b"\xff")
    assert "holds a different dataset" in lpe(*command).json["error"]


def test_names_and_sizes_give_no_image_a_key_of_its_own(root, tmp_path, lpe):
    lpe("keys", "create", "patients", "--keystore", tmp_path / "keys")
    command = ("encrypt", "--source", f"folder:{root}", *NAMES)
    store = ("--output", tmp_path / "e" / "d", "--keystore", tmp_path / "keys", "--key", "patients")
    for more in (store, ("--dry-run",)):
        refused(lpe(*command, "--scope", "image", *more), "--scope image needs --digest contents", code=2)
    assert not (tmp_path / "e" / "d").exists()
    done = lpe(*command, *store, "--seal", "--json")
    assert done.json["status"] == "ok"
    other = lpe("ingest", "--source", "synthetic:64", "--output", tmp_path / "p" / "d", *NAMES[:2])
    refused(other, "--digest goes with folder: alone", code=2)


def test_every_kind_of_loss_is_one_line_with_its_count(root, tmp_path, lpe):
    more = {
        ".git/x/y": b"",
        "a/.DS_Store": b"",
        "README.md": b"",
        "a/deep/er/1.pgm": FILES["a/000.pgm"],
    }
    images.write(root, more)
    (root / "a" / "link.pgm").symlink_to(root / "a" / "000.pgm")
    (root / "b" / "loop").symlink_to(root)
    os.mkfifo(root / "b" / "pipe")
    (root / "c" / "empty").mkdir(parents=True)
    (root / "e").mkdir()
    lpe("keys", "create", "patients", "--keystore", tmp_path / "keys")
    store = ("--keystore", tmp_path / "keys", "--key", "patients")
    for command in (("ingest",), ("encrypt", *store)):
        done = lpe(*command, "--source", f"folder:{root}", "--output", tmp_path / command[0] / "d", "--json")
        assert done.json["splits"]["train"]["examples"] == 161
        assert sorted(done.json["notes"]) == [
            "class directories without an image, which are no classes: 2 (the first is c)",
            "devices, pipes and sockets passed over: 1 (it is b/pipe)",
            "files beside the class directories, no images, passed over: 1 (it is README.md)",
            "hidden files passed over: 2 (the first is .git/x/y)",
            "images deeper than their class directory, whose class is the first directory of the class level: 1 (it is "
            "a/deep/er/1.pgm)",
            "symbolic links not followed: 2 (the first is a/link.pgm)",
        ]


def test_a_digest_that_takes_long_says_what_it_cost(root, tmp_path, lpe, monkeypatch):
    monkeypatch.setattr(folder, "_LONG", 0.0)
    done = lpe("ingest", "--source", f"folder:{root}", "--output", tmp_path / "p" / "d", "--json")
    (note,) = done.json["notes"]
    assert note.startswith(
        f"read for the digest alone: {160 * 27:,} bytes of 160 files in 0 s; --digest names-and-sizes"
    )
