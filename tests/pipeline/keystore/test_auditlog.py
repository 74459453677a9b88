"""The audit trail: what is written, what a change to it looks like, what a kill leaves to be made up for."""

from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest

from lpe.pipeline import clock
from lpe.pipeline.keystore import KeyStore, Registry
from lpe.transforms.errors import KeyStoreError
from tests.pipeline.keystore.kills import killed_before


@pytest.fixture
def trail(keystore) -> Path:
    """The log of a keyset that was rotated, disabled, enabled, and whose old key was destroyed."""
    store = KeyStore(keystore)
    old = store.keys("patients")[0].id
    store.rotate("patients")
    store.disable("patients", old)
    store.enable("patients", old)
    store.destroy("patients", old)
    return Path(keystore) / "patients.log.jsonl"


def lines(trail: Path) -> list[dict]:
    return [json.loads(line) for line in trail.read_text().splitlines()]


def test_every_change_of_a_key_is_one_line(lpe, keystore, trail):
    events = lines(trail)
    assert [e["event"] for e in events] == ["created", "rotated", "disabled", "enabled", "destroyed"]
    assert [e["n"] for e in events] == [1, 2, 3, 4, 5]
    assert {e["user"] for e in events} == {getpass.getuser()}
    assert all(abs((clock.parse_stamp(e["time"]) - clock.now()).total_seconds()) < 60 for e in events)
    first, second = (key.id for key in KeyStore(keystore).keys("patients"))
    assert [e["key"] for e in events] == [first, second, first, first, first]
    shown = lpe("keys", "log", "patients", "--keystore", keystore, "--json")
    assert (shown.code, shown.json["events"], shown.json["problems"]) == (0, events, [])
    text = lpe("keys", "log", "patients", "--keystore", keystore).out
    assert shown.json["last_hash"] in text


def drop(path: Path, at: int) -> None:
    kept = path.read_text().splitlines(keepends=True)
    del kept[at]
    path.write_text("".join(kept))


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


@pytest.mark.parametrize(
    ("tamper", "problem"),
    [
        (lambda p: edit(p, '"disabled"', '"enabled"'), "line 4: does not follow"),
        (lambda p: edit(p, '"user": "', '"user": "not '), "line 2: does not follow"),
        (lambda p: drop(p, 2), "line 3: does not follow"),
        (lambda p: drop(p, 0), "line 1: does not follow"),
        (lambda p: drop(p, 4), "ends after line 4 of 5"),
        (lambda p: edit(p, '"destroyed"', '"enabled"'), "line 5: was changed"),
        (lambda p: edit(p, '{"n": 3', "n: 3"), "line 3: damaged"),
        (lambda p: p.unlink(), "ends after line 0 of 5"),
        (lambda p: p.write_text("".join(reversed(p.read_text().splitlines(keepends=True)))), "line 1"),
    ],
)
def test_a_change_to_the_log_shows(lpe, keystore, trail, tamper, problem):
    tamper(trail)
    shown = lpe("keys", "log", "patients", "--keystore", keystore, "--json")
    assert shown.code == 1
    assert any(problem in found for found in shown.json["problems"]), shown.json["problems"]


def test_a_log_of_another_keyset_is_none_of_this_one(lpe, keystore, trail):
    KeyStore(keystore).create("others")
    (trail.parent / "others.log.jsonl").write_bytes(trail.read_bytes())
    shown = lpe("keys", "log", "others", "--keystore", keystore, "--json")
    assert "line 1: does not follow" in shown.json["problems"][0]


def test_a_broken_log_stays_broken_when_lines_are_added(lpe, keystore, trail):
    edit(trail, '"user": "', '"user": "not ')
    KeyStore(keystore).rotate("patients")
    assert lpe("keys", "log", "patients", "--keystore", keystore).code == 1


def test_a_key_of_which_the_log_says_something_else_is_refused_until_it_is_accepted(lpe, keystore, trail):
    drop(trail, 4)
    old = KeyStore(keystore).keys("patients")[0].id
    before = trail.read_bytes()
    with pytest.raises(KeyStoreError, match=f"key {old} is destroyed and the log says enabled; restore"):
        KeyStore(keystore).rotate("patients")
    assert trail.read_bytes() == before
    accepted = lpe("keys", "log", "patients", "--keystore", keystore, "--accept", "--json")
    assert (accepted.code, accepted.json["events"][-1]["event"]) == (1, "accepted")
    assert not any("destroyed" in problem for problem in accepted.json["problems"])
    KeyStore(keystore).rotate("patients")
    assert lpe("keys", "log", "patients", "--keystore", keystore).code == 1  # the gap shows


def test_a_key_that_no_line_explains_shows_and_is_logged_by_the_next_change(lpe, keystore, trail):
    with killed_before(".log.jsonl"):
        KeyStore(keystore).rotate("patients")
    new = KeyStore(keystore).keys("patients")[-1]
    assert new.primary
    shown = lpe("keys", "log", "patients", "--keystore", keystore, "--json")
    assert shown.json["problems"] == [f"key {new.id} is enabled and the log says nothing"]
    Registry(keystore).log("patients", "dataset encrypted", dataset="/d", key=new.id)
    assert lpe("keys", "log", "patients", "--keystore", keystore).code == 0
    assert [(e["event"], e.get("late")) for e in lines(trail)[-2:]] == [
        ("rotated", True),
        ("dataset encrypted", None),
    ]


def test_the_same_about_a_dataset_is_logged_once(keystore, trail):
    for _ in range(2):
        Registry(keystore).log("patients", "dataset encrypted", dataset="/d", key=1)
    assert len(lines(trail)) == 6
