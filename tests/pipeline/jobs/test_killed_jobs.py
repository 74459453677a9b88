"""Jobs that end before their end, and what the next job makes of their work; `tests/faults` kills them everywhere."""

from __future__ import annotations

import json
import signal

from tests.pipeline.running import (
    encrypt,
    encrypting,
    files,
    start,
    wait_for_receipts,
)


def test_an_interrupted_job_run_again_ends_in_the_same_bytes_and_redoes_nothing_finished(lpe, tmp_path):
    words = ("ingest", "--source", "synthetic:12000", "--output")
    home = tmp_path / "a" / "shapes"
    process = start(*words, home)
    wait_for_receipts(home, 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip() == "lpe: interrupted; run the same command again to continue where it stopped"
    assert not (home / "1.0.0").exists()
    receipts = list(home.glob("_work/*/receipts/[!.]*.json"))
    stamps = {}
    for receipt in receipts:
        shard = json.loads(receipt.read_text())["shard"]["file"]
        stamps[shard] = (receipt.parents[1] / "data" / shard).stat().st_mtime_ns
    again = lpe(*words, home, "--json")
    assert again.code == 0
    assert again.json["metrics"]["kept_shards"] == len(receipts)
    assert again.json["metrics"]["images"] == 14_400
    for shard, stamp in stamps.items():
        assert (home / "1.0.0" / shard).stat().st_mtime_ns == stamp
    whole = tmp_path / "b" / "shapes"
    assert lpe(*words, whole).code == 0
    assert files(home) == files(whole)
    assert not (home / "_work").exists()


def test_two_jobs_on_one_home_do_not_mix(lpe, tmp_path):
    home = tmp_path / "a" / "shapes"
    process = start("ingest", "--source", "synthetic:12000", "--output", home)
    wait_for_receipts(home, 1, process)
    second = lpe("ingest", "--source", "synthetic:12000", "--output", home)
    assert process.wait(60) == 0
    assert second.code == 1
    assert "another job is writing here" in second.err
    assert lpe("verify", home).code == 0


def test_an_unfinished_other_job_is_not_mixed_in(lpe, tmp_path):
    home = tmp_path / "a" / "shapes"
    process = start("ingest", "--source", "synthetic:12000", "--output", home)
    wait_for_receipts(home, 1, process)
    process.kill()
    process.communicate()
    other = lpe("ingest", "--source", "synthetic:500", "--output", home)
    assert other.code == 1
    assert "unfinished job with other settings" in other.err
    assert str(home / "_work") in other.err


def test_what_a_job_given_up_still_writes_gets_into_no_other_jobs_version(lpe, keystore, tmp_path):
    """Workers elsewhere may go on after their launcher, and its plan, are gone."""
    home, fresh = tmp_path / "a" / "shapes", tmp_path / "b" / "shapes"
    process = start(*encrypting(keystore, "synthetic:12000", home))
    receipts = wait_for_receipts(home, 2, process)
    process.kill()
    process.communicate()
    (receipts[0].parents[1] / "plan.json").unlink()
    for place in (home, fresh):
        assert encrypt(lpe, keystore, "synthetic:12000", place, "--cipher", "le").code == 0
    assert files(home) == files(fresh)


def test_a_finished_shard_that_is_lost_is_written_again(lpe, tmp_path):
    home, whole = tmp_path / "a" / "shapes", tmp_path / "b" / "shapes"
    process = start("ingest", "--source", "synthetic:12000", "--output", home)
    receipt = wait_for_receipts(home, 1, process)[0]
    process.kill()
    process.communicate()
    shard = json.loads(receipt.read_text())["shard"]["file"]
    (receipt.parents[1] / "data" / shard).unlink()
    for place in (home, whole):
        assert lpe("ingest", "--source", "synthetic:12000", "--output", place).code == 0
    assert files(home) == files(whole)
