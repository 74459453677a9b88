"""The commands that are killed, what is there before them, and what must be there in the end."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lpe.pipeline.keystore import KeyStore
from lpe.transforms.errors import LpeError
from tests.faults.killing import Commands, tree
from tests.secret_bytes import prf_keys

_KEYS = ("--keystore", "@/keys")
_KEYSETS = ("used", "old", "off", "aged")

Words = tuple[object, ...]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command that is killed and run again.

    Attributes:
      name: for the test's id.
      words: the command's words, given the place.
      destroys: the keyset whose old key is destroyed.
      adds_key_to: the keyset that gets a new primary key each time.
      done: what the command may say, with exit code 1, when it finds that it has done its work before.
    """

    name: str
    words: Callable[[Path], Words]
    destroys: str | None = None
    adds_key_to: str | None = None
    done: str | None = None


def _fixed(*words: object) -> Callable[[Path], Words]:
    return lambda place: words


def _with_old_key(command: str, keyset: str) -> Callable[[Path], Words]:
    return lambda place: ("keys", command, keyset, old_key(place, keyset), *_KEYS)


_TO = ("--output", "@/new/s")

SCENARIOS = (
    Scenario("ingest", _fixed("ingest", "--source", "folder:@/photos", *_TO)),
    Scenario("encrypt", _fixed("encrypt", "--source", "dataset:@/plain/s", *_TO, *_KEYS, "--key", "used")),
    Scenario("ingest --append", _fixed("ingest", "--source", "folder:@/more", "--output", "@/plain/s", "--append")),
    Scenario(
        "encrypt --append",
        _fixed(
            "encrypt", "--source", "dataset:@/grown/s", "--output", "@/kept/s", *_KEYS, "--key", "used", "--append"
        ),
    ),
    Scenario("decrypt", _fixed("decrypt", "--source", "dataset:@/enc/s", *_TO, *_KEYS)),
    Scenario(
        "reencrypt",
        _fixed("reencrypt", "@/enc/s", *_KEYS, "--retire-after", "0s", "--destroy-keys"),
        destroys="aged",
    ),
    Scenario(
        "unseal", _fixed("unseal", "--source", "dataset:@/sealed/s", *_TO, "--data-key", "@/data-key.json")
    ),
    Scenario("keys create", _fixed("keys", "create", "new", *_KEYS), done="this keyset exists"),
    Scenario("keys create, new store", _fixed("keys", "create", "new", "--keystore", "@/more/keys"), done="exists"),
    Scenario("keys rotate", _fixed("keys", "rotate", "used", *_KEYS), adds_key_to="used"),
    Scenario("keys disable", _with_old_key("disable", "old")),
    Scenario("keys enable", _with_old_key("enable", "off")),
    Scenario("keys destroy", _with_old_key("destroy", "old"), destroys="old", done="is destroyed, for good"),
    Scenario(
        "keys export",
        _fixed("keys", "export", "used", *_KEYS, "--dataset", "@/sealed/s", "--output", "@/new/data-key.json"),
        done="exists; choose another --output",
    ),
)  # fmt: skip


def prepare(commands: Commands) -> None:
    """Makes what the commands work on: images, datasets, and keysets with a primary and an old key."""
    place = commands.place
    draw = np.random.default_rng(16)
    for folder, numbers in (("photos", range(4)), ("more", range(4, 6))):
        for name in ("cat", "dog"):
            (place / folder / name).mkdir(parents=True)
            for number in numbers:
                pixels = draw.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(place / folder / name / f"{number}.png")
    for home in ("@/plain/s", "@/grown/s"):
        commands.done("ingest", "--source", "folder:@/photos", "--output", home)
    commands.done("ingest", "--source", "folder:@/more", "--output", "@/grown/s", "--append")
    for name in _KEYSETS:
        commands.done("keys", "create", name, *_KEYS)
    encrypt = ("encrypt", "--source", "dataset:@/plain/s", *_KEYS)
    commands.done(*encrypt, "--key", "aged", "--output", "@/enc/s")
    commands.done(*encrypt, "--key", "used", "--output", "@/sealed/s", "--seal")
    commands.done(*encrypt, "--key", "used", "--output", "@/kept/s", "--scope", "image")
    commands.done("keys", "export", "used", *_KEYS, "--dataset", "@/sealed/s", "--output", "@/data-key.json")
    for name in _KEYSETS[1:]:
        commands.done("keys", "rotate", name, *_KEYS)
    commands.done("keys", "disable", "off", old_key(place, "off"), *_KEYS)
    assert commands.strays() == []


def old_key(place: Path, keyset: str) -> int:
    """The id of a keyset's first key."""
    return KeyStore(str(place / "keys")).keys(keyset)[0].id


def outcome(place: Path) -> dict[str, Any]:
    """What must be the same however often the command was interrupted: files, and the keys' states and uses."""
    found: dict[str, Any] = {
        name: content
        for name, content in tree(place).items()
        if name.startswith(("plain/", "enc/", "sealed/", "kept/", "new/"))
    }
    for name, content in found.items():
        if name.endswith("retired.json"):
            found[name] = json.loads(content)["replaced_by"]
    for directory in sorted(place.glob("**/kek.json")):
        store = KeyStore(str(directory.parent))
        for name in _names(store):
            records = store.metadata(name).keys
            found[f"keyset {name}"] = [
                (key.state, key.primary, records[key.id].datasets, records[key.id].used)
                for key in store.keys(name)
            ]
    return found


def differences(scenario: Scenario, expected: dict[str, Any], place: Path) -> list[str]:
    """What in the place is not as in the outcome of a whole run."""
    found = outcome(place)
    if scenario.adds_key_to is not None:
        # What was killed after its change makes the same change again: one more key in the middle, of no use.
        keys = found[f"keyset {scenario.adds_key_to}"]
        del keys[len(expected[f"keyset {scenario.adds_key_to}"]) - 1 : -1]
    names = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    return [f"another outcome: {', '.join(sorted(names))}"] if names else []


def _names(store: KeyStore) -> list[str]:
    """The keysets; a killed writer's temporary file is a stray, and reported as one."""
    return [name for name in store.names() if not name.startswith(".")]


def lost(before: Path, place: Path, scenario: Scenario, finished: dict[str, Any]) -> list[str]:
    """What was there before and isn't any more, right after a kill; nothing may be.

    Args:
      before: the place as it was before the command.
      finished: the outcome of a whole run.
    """
    now = tree(place)
    problems = []
    for name, content in tree(before).items():
        if name.startswith(("plain/", "sealed/", "kept/", "photos/", "more/")) and now.get(name) != content:
            problems.append(f"{name} is lost or changed")
    versions = {path.parent.name for path in place.glob("enc/s/*/dataset_info.json")}
    if not versions:
        problems.append("enc/s has no version left")
    for version in versions:
        prefix = f"enc/s/{version}/"
        expected = {name: content for name, content in tree(before).items() if name.startswith(prefix)}
        expected = expected or {
            name: content for name, content in finished.items() if name.startswith(prefix)
        }
        if any(now.get(name) != content for name, content in expected.items()):
            problems.append(f"{prefix} is not whole")
    for name in _KEYSETS:
        keys = prf_keys(str(before / "keys"), name)
        if scenario.destroys == name:
            keys.pop(next(iter(keys)))
        try:
            left = prf_keys(str(place / "keys"), name)
        except Exception as error:
            problems.append(f"keyset {name}: {error!r}")
            continue
        problems += [f"keyset {name}: key {key} is lost" for key in keys if left.get(key) != keys[key]]
    return problems


def recoverable(before: Path, place: Path, scenario: Scenario, scratch: Path) -> list[str]:
    """The files that bring a destroyed key back when they are put in the keyset's place."""
    if scenario.destroys is None:
        return []
    keyset, found = scenario.destroys, []
    key = old_key(before, keyset)
    shutil.copytree(place / "keys", scratch, dirs_exist_ok=True)
    for path in [path for path in place.rglob("*") if path.is_file()]:
        shutil.copyfile(path, scratch / f"{keyset}.json")
        try:
            KeyStore(str(scratch)).open(keyset, key)
        except LpeError:
            continue
        found.append(f"{path.relative_to(place)} holds the destroyed key")
    return found


def log_problems(place: Path) -> list[str]:
    """What is wrong with the audit trails."""
    return [
        f"{name}: {problem}"
        for directory in sorted(place.glob("**/kek.json"))
        for store in [KeyStore(str(directory.parent))]
        for name in _names(store)
        for problem in store.audit_log(name).problems
    ]
