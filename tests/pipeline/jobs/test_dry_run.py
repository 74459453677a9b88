"""lpe encrypt --dry-run: the real plan, measured, with nothing written."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lpe.pipeline.dataset import open_dataset
from tests.pipeline.running import encrypt, files, refused


def test_it_foretells_what_is_written(lpe, keystore, plain, tmp_path):
    words = ("--source", f"dataset:{plain}", "--cipher", "cpbe-50", "--augment", "flip", "--copies", 2)
    forecast = lpe("encrypt", "--dry-run", *words, "--json").json
    home = tmp_path / "enc" / "shapes"
    made = encrypt(lpe, keystore, f"dataset:{plain}", home, *words[2:]).json
    assert {name: (s["examples"], s["shards"]) for name, s in forecast["splits"].items()} == {
        name: (s["examples"], s["shards"]) for name, s in made["splits"].items()
    }
    for name, split in forecast["splits"].items():
        assert split["bytes"] == pytest.approx(made["splits"][name]["bytes"], rel=0.01)
        largest = max(shard.bytes for shard in open_dataset(str(home)).shards(name))
        assert split["largest_shard"] == pytest.approx(largest, rel=0.01)
    assert forecast["core_seconds"] > 0
    assert set(forecast["sample"]["seconds"]) == {"read", "transform", "encode"}


@pytest.mark.parametrize("more", [("--seal",), ("--scope", "image", "--cipher", "ele")])
def test_it_measures_what_it_is_asked_for(lpe, more):
    value = lpe("encrypt", "--dry-run", "--source", "synthetic:100", *more, "--json").json
    assert value["status"] == "ok"
    assert value["sample"]["images"] > 0
    overhead = 28 if "--seal" in more else 0
    assert value["splits"]["train"]["bytes"] / 100 == pytest.approx(3072 + overhead + 78, abs=6)


def test_it_writes_nothing_and_says_so(lpe, keystore, plain, tmp_path):
    before = files(tmp_path)
    home = tmp_path / "enc" / "shapes"
    forecast = lpe(
        "encrypt", "--dry-run", "--source", f"dataset:{plain}", "--output", home, "--keystore", keystore
    )
    assert forecast.code == 0
    assert "Nothing was written." in forecast.out
    assert "100 images" in forecast.out
    assert files(tmp_path) == before


def test_without_it_output_and_key_are_needed(lpe, tmp_path, keystore):
    words = ["encrypt", "--source", "synthetic:100"]
    for option, value in (
        ("--output", tmp_path / "a" / "b"),
        ("--keystore", keystore),
        ("--key", "patients"),
    ):
        refused(lpe(*words), f"missing option {option}", code=2)
        words += [option, value]
    assert lpe(*words).code == 0


def test_what_the_job_would_refuse_it_refuses(lpe, plain):
    refused(lpe("encrypt", "--dry-run", "--source", "synthetic:100", "--cipher", "xyz"), "xyz")
    refused(lpe("encrypt", "--dry-run", "--source", "synthetic:100", "--rummer=X"), "--rummer", code=2)
    refused(lpe("encrypt", "--dry-run", "--source", "folder:nowhere"), "nowhere")


def test_four_hundred_million_images_are_planned_in_seconds_and_in_the_memory_of_a_few():
    """Each in a process of its own, whose peak memory is its own."""

    def forecast(images: int) -> dict[str, float]:
        command = [sys.executable, "-m", "lpe", "encrypt", "--dry-run", "--json"]
        done = subprocess.run(
            [*command, "--source", f"synthetic:{images}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    few, many = forecast(40_000), forecast(400_000_000)
    assert many["splits"]["train"]["examples"] == 400_000_000
    assert many["splits"]["train"]["shards"] == 9_913
    assert 120e6 < many["splits"]["train"]["largest_shard"] < 128e6
    assert many["plan_bytes"] < 10e6
    assert many["peak_memory"] < few["peak_memory"] + 50e6
    assert many["core_seconds"] > 1000 * few["core_seconds"]
