"""reencrypt, and jobs by several processes."""

from __future__ import annotations

import json
import signal

import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.keystore import KeyStore
from tests.pipeline.running import contents, encrypt, files, flipped, refused, start, wait_for_receipts


@pytest.fixture
def plain(lpe, tmp_path):
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", "synthetic:300", "--output", home).code == 0
    return home


@pytest.fixture
def home(lpe, keystore, plain, tmp_path):
    """An encrypted dataset with hidden labels, whose key has been rotated since."""
    home = tmp_path / "enc" / "shapes"
    assert encrypt(lpe, keystore, f"dataset:{plain}", home, "--hide-labels").code == 0
    KeyStore(keystore).rotate("patients")
    return home


def reencrypt(lpe, keystore, home, *more):
    return lpe("reencrypt", home, "--keystore", keystore, "--json", *more)


def verified(lpe, keystore, version, plain) -> bool:
    return lpe("verify", version, "--keystore", keystore, "--against", f"dataset:{plain}", "--json").json[
        "ok"
    ]


def test_the_next_version_is_under_the_primary_key_and_has_the_same_images(
    lpe, keystore, home, plain, tmp_path
):
    old, new = KeyStore(keystore).keys("patients")
    before = files(home / "1.0.0")
    made = reencrypt(lpe, keystore, home)
    assert made.code == 0, made.out
    assert made.json["dataset"] == f"{home}/1.0.1"
    assert made.json["key"] == {"name": "patients", "id": new.id}
    after = files(home / "1.0.0")
    assert json.loads(after.pop("retired.json"))["replaced_by"] == "1.0.1"
    assert after == before
    assert verified(lpe, keystore, home, plain)
    assert verified(lpe, keystore, home / "1.0.0", plain)
    one, two = contents(home / "1.0.0"), contents(home / "1.0.1")
    assert all(one[name][0] != two[name][0] for name in one)
    # Labels stay hidden, under another permutation.
    assert open_dataset(str(home)).class_names == tuple("0123456789")
    assert [label for _, label in one.values()] != [label for _, label in two.values()]
    back = tmp_path / "back" / "shapes"
    lpe("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore)
    assert contents(back) == contents(plain)
    assert old.id != new.id


def test_under_the_primary_key_already_there_is_nothing_to_do(lpe, keystore, home):
    reencrypt(lpe, keystore, home)
    again = reencrypt(lpe, keystore, home)
    assert (again.code, again.json["status"], again.json["dataset"]) == (0, "skipped", f"{home}/1.0.1")


def test_cipher_parameters_and_scope_can_change(lpe, keystore, home, plain):
    made = reencrypt(lpe, keystore, home, "--cipher", "pbe", "--param", "colour=true", "--scope", "image")
    assert (made.json["cipher"], made.json["scope"]) == ("pbe", "image")
    assert verified(lpe, keystore, home, plain)
    # Once more: only the scope; cipher and parameters stay.
    assert reencrypt(lpe, keystore, home, "--scope", "dataset").json["dataset"].endswith("1.0.2")
    assert open_dataset(str(home)).encryption["params"] == {"colour": "true"}
    assert verified(lpe, keystore, home, plain)


def test_what_cannot_be_reencrypted(lpe, keystore, home, plain):
    refused(lpe("reencrypt", plain, "--keystore", keystore), "not an encrypted dataset")
    refused(lpe("reencrypt", home, "--keystore", keystore, "--cipher", "rot13"), "unknown cipher")
    old = KeyStore(keystore).keys("patients")[0].id
    KeyStore(keystore).disable("patients", old)
    refused(lpe("reencrypt", home, "--keystore", keystore), f"key {old}", "disabled")
    assert not (home / "1.0.1").exists()


@pytest.mark.parametrize("command", ["ingest", "encrypt", "decrypt", "reencrypt"])
def test_several_processes_write_the_same_bytes_as_one(lpe, keystore, home, plain, tmp_path, command):
    def run(root, workers):
        words = {
            "ingest": ("--source", "synthetic:300", "--output", root / "shapes"),
            "encrypt": ("--source", f"dataset:{plain}", "--output", root / "shapes", "--key", "patients"),
            "decrypt": ("--source", f"dataset:{home}", "--output", root / "shapes"),
            "reencrypt": (home,),
        }[command]
        store = () if command == "ingest" else ("--keystore", keystore)
        made = lpe(command, *words, *store, "--workers", workers, "--json")
        assert made.code == 0, made.out
        return files(home / "1.0.1") if command == "reencrypt" else files(root / "shapes")

    two = run(tmp_path / "two", 2)
    if command == "reencrypt":
        assert verified(lpe, keystore, home, plain)
    else:
        assert two == run(tmp_path / "one", 1)


def test_failures_in_other_processes_are_told_as_in_this_one(lpe, keystore, plain, tmp_path):
    shard = plain / "1.0.0" / "shapes-train.tfrecord-00001-of-00004"
    shard.write_bytes(flipped(shard.read_bytes(), 5000))
    words = (
        "encrypt",
        "--source",
        f"dataset:{plain}",
        "--keystore",
        keystore,
        "--key",
        "patients",
        "--workers",
        2,
    )
    refused(lpe(*words, "--output", tmp_path / "enc" / "shapes"), str(shard), "checksum does not match")
    refused(lpe(*words, "--output", tmp_path / "enc" / "shapes", "--workers", 0), code=2)


@pytest.mark.parametrize("sign", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_killed_job_of_several_processes_continues_and_leaves_none_behind(lpe, tmp_path, sign):
    words = ("ingest", "--source", "synthetic:40000", "--output")
    home = tmp_path / "a" / "shapes"
    process = start(*words, home, "--workers", 2)
    wait_for_receipts(home, 2, process)
    process.send_signal(sign)
    # Pipes end when the last process that holds them has ended.
    process.communicate(timeout=30)
    assert process.returncode == (130 if sign == signal.SIGINT else -9)
    assert not (home / "1.0.0").exists()
    assert lpe(*words, home, "--workers", 2).code == 0
    assert lpe(*words, tmp_path / "b" / "shapes").code == 0
    assert files(home) == files(tmp_path / "b" / "shapes")
    receipts = json.loads((home / "1.0.0" / "manifest.json").read_text())["shards"]
    assert sum(shard["examples"] for shard in receipts["train"]) == 40_000
