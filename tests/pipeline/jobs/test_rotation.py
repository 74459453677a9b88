"""lpe reencrypt by policy: what is due, retiring and deleting, destroying keys, runs, plans, two at once."""

from __future__ import annotations

import datetime
import json
import multiprocessing
import shutil
from pathlib import Path

import pytest

from lpe.pipeline import clock
from lpe.pipeline.dataset import retirement
from lpe.pipeline.keystore import KeyStore, Registry
from lpe.pipeline.storage import locks
from lpe.transforms.ciphers.lpe import Lpe
from tests.pipeline.running import contents, encrypt, files, policy, refused

START = datetime.datetime(2026, 1, 1, 3, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def keystore(tmp_path) -> str:
    """A key store whose keyset `patients` rotates every 30 days, made on day 0."""
    uri = str(tmp_path / "keys")
    with clock.fixed_at(START):
        KeyStore(uri).create("patients", rotation_period="30d")
    return uri


@pytest.fixture
def home(lpe, keystore, plain, tmp_path) -> Path:
    """A dataset encrypted on day 0."""
    home = tmp_path / "enc" / "shapes"
    with clock.fixed_at(START):
        assert encrypt(lpe, keystore, f"dataset:{plain}", home).code == 0
    return home


def on(day: float, lpe, *words):
    with clock.fixed_at(START + day * DAY):
        return lpe(*words)


def daily(day: float, lpe, keystore, *homes, more=()):
    return on(day, lpe, *policy(keystore, *homes), *more)


def states(keystore) -> list[str]:
    return [key.state for key in KeyStore(keystore).keys("patients")]


def versions(home) -> list[str]:
    return sorted(path.name for path in Path(home).iterdir())


def test_a_policy_is_carried_out_day_by_day(lpe, keystore, home, plain):
    (first,) = KeyStore(keystore).keys("patients")
    before = daily(29.9, lpe, keystore, home)
    assert (before.code, before.json["status"], before.json["rotated"]) == (0, "skipped", None)
    due = daily(30, lpe, keystore, home).json
    second = KeyStore(keystore).keys("patients")[1]
    assert (due["status"], due["rotated"], due["key"]["id"]) == ("ok", second.id, second.id)
    assert due["retired"] == [f"{home}/1.0.0"]
    assert due["deleted"] == due["destroyed_keys"] == []
    assert [key["id"] for key in due["kept_keys"]] == [first.id]
    assert versions(home) == ["1.0.0", "1.0.1"]
    assert daily(36.9, lpe, keystore, home).json["status"] == "skipped"
    done = daily(37, lpe, keystore, home).json
    assert (done["status"], done["deleted"]) == ("ok", [f"{home}/1.0.0"])
    assert (done["destroyed_keys"], done["lost_runs"]) == ([first.id], {str(first.id): []})
    assert versions(home) == ["1.0.1"]
    assert states(keystore) == ["destroyed", "enabled"]
    assert lpe("verify", home, "--keystore", keystore, "--against", f"dataset:{plain}").code == 0
    log = lpe("keys", "log", "patients", "--keystore", keystore, "--json").json
    assert log["ok"]
    place = str(home.resolve())
    assert [(e["event"], e.get("key"), e.get("dataset")) for e in log["events"]] == [
        ("created", first.id, None),
        ("dataset encrypted", first.id, f"{place}/1.0.0"),
        ("rotated", second.id, None),
        ("dataset re-encrypted", None, f"{place}/1.0.1"),
        ("version retired", first.id, f"{place}/1.0.0"),
        ("version deleted", first.id, f"{place}/1.0.0"),
        ("destroyed", first.id, None),
    ]
    made = log["events"][3]
    assert (made["from_key"], made["to_key"]) == (first.id, second.id)


def test_without_if_due_nothing_is_rotated(lpe, keystore, home):
    done = on(40, lpe, "reencrypt", home, "--keystore", keystore, "--json").json
    assert (done["status"], done["rotated"], len(states(keystore))) == ("skipped", None, 1)


def test_a_dataset_under_an_old_key_is_due_though_the_keyset_is_not(lpe, keystore, home):
    with clock.fixed_at(START + 2 * DAY):
        new = KeyStore(keystore).rotate("patients")[1].id
    done = daily(3, lpe, keystore, home).json
    assert (done["status"], done["rotated"], done["key"]["id"]) == ("ok", None, new)
    assert "is under key" in done["reason"]


def test_a_key_in_use_anywhere_is_kept_until_that_is_gone(lpe, keystore, home, plain, tmp_path):
    other = tmp_path / "elsewhere" / "copies"
    with clock.fixed_at(START):
        encrypt(lpe, keystore, f"dataset:{plain}", other)
    daily(30, lpe, keystore, home)
    kept = daily(38, lpe, keystore, home).json
    old = KeyStore(keystore).keys("patients")[0].id
    assert kept["destroyed_keys"] == []
    assert kept["kept_keys"] == [{"id": old, "needed_by": [f"dataset {other.resolve()}/1.0.0"]}]
    # A disk that is not mounted today is not a dataset that is gone.
    other.rename(tmp_path / "away")
    missing = daily(39, lpe, keystore, home).json
    assert missing["destroyed_keys"] == []
    assert missing["kept_keys"][0]["needed_by"] == [f"dataset {other.resolve()}/1.0.0 (not found)"]
    refused(lpe("keys", "destroy", "patients", old, "--keystore", keystore), "in use", "lpe keys forget")
    assert lpe("keys", "forget", "patients", f"{other}/1.0.0", "--keystore", keystore).code == 0
    refused(lpe("keys", "forget", "patients", f"{other}/1.0.0", "--keystore", keystore), "not recorded")
    assert daily(40, lpe, keystore, home).json["destroyed_keys"] == [old]


def test_a_key_without_recorded_datasets_is_left_alone(lpe, keystore, home):
    """It may be in use by somebody's own pipeline."""
    with clock.fixed_at(START + DAY):
        unused = KeyStore(keystore).rotate("patients")[1].id
        KeyStore(keystore).rotate("patients")
    daily(2, lpe, keystore, home)
    done = daily(10, lpe, keystore, home).json
    assert states(keystore) == ["destroyed", "enabled", "enabled"]
    assert [key["id"] for key in done["kept_keys"]] == [unused]


def test_a_version_begun_under_a_key_and_never_finished_does_not_hold_it(lpe, keystore, home, monkeypatch):
    with clock.fixed_at(START + DAY):
        second = KeyStore(keystore).rotate("patients")[1].id
    monkeypatch.setattr(
        "lpe.pipeline.engine.execution.run", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert daily(1, lpe, keystore, home).code == 130
    monkeypatch.undo()
    with clock.fixed_at(START + 2 * DAY):
        third = KeyStore(keystore).rotate("patients")[2].id
    done = daily(2, lpe, keystore, home).json
    assert (done["key"]["id"], done["destroyed_keys"]) == (third, [second])
    daily(9, lpe, keystore, home)
    assert states(keystore) == ["destroyed", "destroyed", "enabled"]


def register(keystore, run: Path, home: Path) -> None:
    """A finished training run on the dataset's newest version, as far as the key store looks at it."""
    run.mkdir()
    (run / "run.json").write_text("{}")
    encryption = json.loads((home / "1.0.0" / "encryption.json").read_text())
    Registry(keystore).register_run("patients", encryption["key"]["id"], str(run), encryption["salt"])


def test_stale_runs_are_named_and_hold_their_key(lpe, keystore, home, tmp_path):
    register(keystore, tmp_path / "run", home)
    place = str((tmp_path / "run").resolve())
    assert daily(30, lpe, keystore, home).json["stale_runs"] == [place]
    old = KeyStore(keystore).keys("patients")[0].id
    kept = daily(38, lpe, keystore, home).json
    assert (kept["deleted"], kept["destroyed_keys"]) == ([f"{home}/1.0.0"], [])
    assert kept["kept_keys"] == [{"id": old, "needed_by": [f"run {place}"]}]
    words = ("keys", "destroy", "patients", old, "--keystore", keystore)
    refused(lpe(*words), "in use", place)
    forced = lpe(*words, "--force")
    assert (forced.code, states(keystore)) == (0, ["destroyed", "enabled"])
    assert f"destroying key {old}, and losing what needs it: run {place}" in forced.err


def test_models_that_die_with_a_key_are_named_before(lpe, keystore, home, tmp_path):
    register(keystore, tmp_path / "run", home)
    place = str((tmp_path / "run").resolve())
    assert lpe("keys", "forget", "patients", place, "--keystore", keystore).code == 0
    daily(30, lpe, keystore, home)
    old = KeyStore(keystore).keys("patients")[0].id
    planned = on(38, lpe, *policy(keystore, home)[:-1], "--dry-run")
    assert f"Without key {old}: the models of {place} can predict no more" in planned.out
    done = on(38, lpe, *policy(keystore, home)[:-1])
    assert f"destroying key {old} of patients: the models of {place} can predict no more" in done.err
    assert states(keystore) == ["destroyed", "enabled"]


def test_several_datasets_of_one_keyset(lpe, keystore, home, plain, tmp_path):
    second = tmp_path / "enc" / "more"
    with clock.fixed_at(START):
        encrypt(lpe, keystore, f"dataset:{plain}", second)
    done = daily(31, lpe, keystore, home, second).json
    assert [each["dataset"] for each in done["datasets"]] == [f"{home}/1.0.1", f"{second}/1.0.1"]
    assert len(states(keystore)) == 2
    assert len({each["key"]["id"] for each in done["datasets"]}) == 1
    assert len(daily(39, lpe, keystore, home, second).json["destroyed_keys"]) == 1


def test_one_dataset_that_fails_does_not_stop_the_others(lpe, keystore, home, tmp_path):
    done = daily(31, lpe, keystore, tmp_path / "nothing", home)
    assert done.code == 1
    assert (done.json["status"], done.json["datasets"][0]["dataset"]) == ("error", f"{home}/1.0.1")
    assert "no dataset here" in done.json["error"]


def test_a_dry_run_plans_and_changes_nothing(lpe, keystore, home, tmp_path):
    before = files(tmp_path)
    told = daily(31, lpe, keystore, home, more=["--dry-run"])
    (each,) = told.json["plans"]
    assert (told.code, each["rotate"], each["images"], each["retire"]) == (0, True, 120, [f"{home}/1.0.0"])
    assert each["bytes"] > 120 * 3072
    assert "rotation was due on 2026-01-31" in each["reencrypt"]
    assert files(tmp_path) == before
    daily(31, lpe, keystore, home)
    old = KeyStore(keystore).keys("patients")[0].id
    before = files(tmp_path)
    told = daily(38, lpe, keystore, home, more=["--dry-run"]).json
    assert [gone["version"] for gone in told["plans"][0]["delete"]] == [f"{home}/1.0.0"]
    assert told["destroy"] == {"patients": [old]}
    assert told["plans"][0]["reencrypt"] is None
    assert files(tmp_path) == before
    assert daily(38, lpe, keystore, home).json["destroyed_keys"] == [old]


def test_a_dry_run_foresees_what_a_run_does_at_once(lpe, keystore, home):
    words = policy(keystore, home, retire_after="0d")
    told = on(31, lpe, *words, "--dry-run").json
    done = on(31, lpe, *words).json
    assert [gone["version"] for gone in told["plans"][0]["delete"]] == done["deleted"] == [f"{home}/1.0.0"]
    assert told["destroy"]["patients"] == done["destroyed_keys"] != []


def _hold(path: str, ready, release) -> None:
    with locks.held(path, "the dataset", remove=True):
        ready.set()
        release.wait(30)


def test_where_another_run_holds_the_dataset_if_due_leaves_it_alone(lpe, keystore, home):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(home / "_work" / "lock"), ready, release))
    other.start()
    assert ready.wait(30)
    left = daily(31, lpe, keystore, home)
    assert (left.code, left.json["status"]) == (0, "skipped")
    assert "another" in left.json["reason"]
    assert len(states(keystore)) == 1
    refused(on(31, lpe, "reencrypt", home, "--keystore", keystore), "another")
    release.set()
    other.join()
    assert daily(31, lpe, keystore, home).json["status"] == "ok"


def test_a_shard_that_does_not_decrypt_to_the_same_is_not_published(lpe, keystore, home, monkeypatch):
    """The check inside the job sees what a failing memory or disk would do between encrypting and reading back."""
    real = Lpe._encrypt

    def faulty(self, images, out, keys):
        real(self, images, out, keys)
        out[0, 17] ^= 4

    monkeypatch.setattr(Lpe, "_encrypt", faulty)
    failed = daily(31, lpe, keystore, home)
    assert failed.code == 1
    assert "does not decrypt to what was encrypted" in failed.json["error"]
    assert not (home / "1.0.1").exists()
    monkeypatch.undo()
    assert daily(31, lpe, keystore, home).json["dataset"] == f"{home}/1.0.1"


def test_periods_that_are_none(lpe, keystore, home):
    refused(lpe("reencrypt", home, "--keystore", keystore, "--retire-after", "soon"), "30d", code=2)
    refused(lpe("keys", "create", "x", "--keystore", keystore, "--rotation-period", "1y"), "30d", code=2)


def test_keys_list_says_what_is_due(lpe, keystore, home, plain, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(home.parent, moved)
    words = ("keys", "list", "patients", "--keystore", keystore)
    young = on(3, lpe, *words, "--json").json
    assert (young["rotation_period"], young["due"]) == ("30d", [])
    old = str(young["keys"][0]["id"])
    assert young["needed_by"][old] == [{"kind": "dataset", "place": f"{home.resolve()}/1.0.0", "found": True}]
    assert "3 days" in on(3, lpe, *words).out
    assert on(31, lpe, *words, "--json").json["due"] == ["due: rotate the keyset"]
    with clock.fixed_at(START + 31 * DAY):
        KeyStore(keystore).rotate("patients")
    listed = on(31, lpe, *words, "--root", moved, "--json").json
    assert listed["last_rotation"] == "2026-02-01T03:00:00+00:00"
    assert [use["place"] for use in listed["needed_by"][old]] == [
        f"{home.resolve()}/1.0.0",
        f"{moved.resolve()}/shapes/1.0.0",
    ]
    assert listed["due"] == [
        f"due: re-encrypt {home.resolve()}",
        f"due: re-encrypt {moved.resolve()}/shapes",
    ]


def test_a_retired_version_stays_readable_until_it_is_deleted(lpe, keystore, home):
    old = contents(home / "1.0.0")
    daily(30, lpe, keystore, home)
    assert contents(home / "1.0.0") == old
    (marked,) = retirement.old_versions(str(home))
    assert marked.retired == START + 30 * DAY
    assert lpe("verify", home / "1.0.0", "--keystore", keystore).code == 0
