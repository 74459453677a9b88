"""Images that cannot be read end a job, which names them all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpe.pipeline.engine import write_shard
from tests.pipeline.running import encrypting, refused
from tests.pipeline.sources import images


@pytest.fixture
def folder(tmp_path) -> Path:
    """200 images of two classes in two splits, of which 30 are none."""
    files = {
        f"{split}/{'ab'[i % 2]}/{i:03}.png": b"x" if i < bad else images.encoded(images.pixels(i))
        for split, bad in (("train", 18), ("test", 12))
        for i in range(100)
    }
    return images.write(tmp_path / "pictures", files)


def bad_names(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*.png") if path.read_bytes() == b"x")


@pytest.mark.parametrize("command", ["ingest", "encrypt"])
def test_all_bad_images_are_named_at_once(lpe, keystore, folder, tmp_path, command):
    home = tmp_path / "out" / "pictures"
    source = f"folder:{folder}"
    words = ("ingest", "--source", source, "--output", home)
    outcome = lpe(*(words if command == "ingest" else encrypting(keystore, source, home)))
    assert (outcome.code, outcome.out) == (1, "")
    first, *listed, last = outcome.err.splitlines()
    names = bad_names(folder)
    assert len(names) == 30
    assert first.startswith(f"lpe: 30 images cannot be read, the first {names[0]}: cannot be decoded: ")
    assert first.endswith("; remove or replace them, or pass --on-bad-record skip")
    assert [line.split(": ")[0].strip() for line in listed] == names[:20]
    assert last == "  and 10 more"
    assert not (home / "1.0.0").exists()


def test_the_list_is_in_the_object_for_machines(lpe, folder, tmp_path):
    failure = lpe(
        "ingest", "--source", f"folder:{folder}", "--output", tmp_path / "out" / "pictures", "--json"
    ).json
    assert failure["bad_records"] == 30
    assert [record["where"] for record in failure["unreadable"]] == bad_names(folder)[:20]
    assert {record["reason"] for record in failure["unreadable"]} == {"cannot be decoded: it is no image"}
    assert "\n" not in failure["error"]


def test_a_single_bad_image_is_one_line(lpe, folder, tmp_path):
    for name in bad_names(folder)[1:]:
        Path(name).write_bytes(images.encoded(images.pixels(0)))
    outcome = lpe("ingest", "--source", f"folder:{folder}", "--output", tmp_path / "out" / "pictures")
    refused(outcome, f"lpe: {bad_names(folder)[0]}: cannot be decoded", "; remove or replace it, or pass")


def test_a_folder_of_nothing_but_bad_images_is_not_read_to_its_end(lpe, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(write_shard, "_MOST_BAD", 5)
    words = ("ingest", "--source", f"folder:{folder}", "--output", tmp_path / "out" / "pictures", "--json")
    assert lpe(*words).json["bad_records"] == 10  # five of each shard
