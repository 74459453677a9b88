"""The owner and the trainer as two users of one machine: what the one keeps, the other cannot read, change or divert.

Who can read a plain dataset is the owner's umask alone: `lpe` writes it as any program writes files.
"""

from __future__ import annotations

import base64
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpe.pipeline.dataset import committed_versions, open_dataset
from tests.secret_bytes import found, kek_key, prf_keys
from tests.tamper.owner import snapshot
from tests.tamper.users import ADVERSARY, OWNER, Ended, User, check_possible, watching

SOURCE = "synthetic:20"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that everybody can look into, with one that everybody can write, as /tmp."""
    check_possible()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "shared").mkdir()
        (root / "shared").chmod(0o1777)
        yield root


@pytest.fixture(scope="module")
def owner(place) -> User:
    root = User(0, place, place)
    root.make(place / "owner")
    os.chown(place / "owner", OWNER, OWNER)
    return User(OWNER, place / "owner", place / "shared")


@pytest.fixture(scope="module")
def adversary(place) -> User:
    user = User(ADVERSARY, place / "adversary", place / "shared")
    user.make(user.folder)
    return user


def life(folder: Path) -> list[tuple[object, ...]]:
    """Everything that an owner does with keys, below a folder."""
    keys = ("--keystore", folder / "keys")
    return [
        ("ingest", "--source", SOURCE, "--output", folder / "plain" / "shapes"),
        ("keys", "create", "patients", *keys),
        ("encrypt", "--source", f"dataset:{folder}/plain/shapes", "--output", folder / "enc" / "shapes", *keys,
         "--key", "patients"),
        ("encrypt", "--source", f"dataset:{folder}/plain/shapes", "--output", folder / "sealed" / "shapes", *keys,
         "--key", "patients", "--seal", "--workers", "2"),
        ("keys", "export", "patients", "--dataset", folder / "sealed" / "shapes", "--output", folder / "data.key",
         *keys),
        ("unseal", "--source", f"dataset:{folder}/sealed/shapes", "--output", folder / "open" / "shapes",
         "--data-key", folder / "data.key"),
        ("keys", "rotate", "patients", *keys),
        ("reencrypt", folder / "enc" / "shapes", *keys, "--retire-after", "0d"),
        ("decrypt", "--source", f"dataset:{folder}/enc/shapes", "--output", folder / "back" / "shapes", *keys),
    ]  # fmt: skip


@pytest.fixture(scope="module", params=[0o022, 0o000], ids=["umask 022", "umask 000"])
def lived(request, owner, adversary) -> tuple[Path, dict[str, str], list[Ended]]:
    """Where the owner did it all, and what the adversary could read meanwhile of keys, temporaries and processes."""
    folder = owner.make(owner.folder / f"umask-{request.param:03o}")
    with watching(adversary, owner, folder / "keys", folder / "data.key", owner.temporary) as seen:
        ended = owner.run(*life(folder), umask=request.param)
    return folder, seen, ended


def test_the_trainer_s_account_reads_no_key_at_any_moment(lived, adversary):
    folder, seen, ended = lived
    assert [one.code for one in ended] == [0] * len(ended), ended
    files = [path for path in seen if not path.startswith("/proc/")]
    assert files == []
    assert any(path.endswith("/cmdline") for path in seen)  # it did look
    assert not [path for path in seen if "/fd/" in path or path.endswith("/environ")]
    secrets = [*prf_keys(str(folder / "keys"), "patients").values(), kek_key(str(folder / "keys"))]
    assert not any(found(secrets, base64.b64decode(content)) for content in seen.values())


def test_the_trainer_s_account_reads_ciphertext_and_no_keys_afterwards(lived, adversary):
    folder, _, _ = lived
    (verified, no_keys, no_data_key) = adversary.run(
        ("verify", folder / "enc" / "shapes"),
        ("keys", "list", "patients", "--keystore", folder / "keys"),
        ("unseal", "--source", f"dataset:{folder}/sealed/shapes", "--output", adversary.folder / f"{folder.name}x",
         "--data-key", folder / "data.key"),
    )  # fmt: skip
    assert verified.code == 0, verified
    for refusal in (no_keys, no_data_key):
        assert (refusal.code, refusal.printed.count("\n")) == (1, 0), refusal
    for path in [*(folder / "keys").rglob("*"), folder / "data.key"]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o700


def test_decrypted_images_are_as_private_as_the_umask_says(owner, lived, place):
    folder, _, _ = lived
    home = place / "shared" / folder.name / "shapes"
    words = (
        "decrypt",
        "--source",
        f"dataset:{folder}/enc/shapes",
        "--keystore",
        folder / "keys",
        "--output",
        home,
    )
    (done,) = owner.run(words, umask=0o077)
    assert done.code == 0, done
    made = [home.parent, *home.parent.rglob("*")]
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


# -- what the adversary prepares -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(owner) -> Path:
    """The owner's datasets, keys and data key, made once."""
    folder = owner.make(owner.folder / "kept")
    ended = owner.run(*life(folder)[:5])
    assert [one.code for one in ended] == [0] * 5, ended
    return folder


def copied(path: Path, to: Path, uid: int) -> Path:
    """A copy of a tree that belongs to a user."""
    shutil.copytree(path, to, symlinks=True)
    for part in (to, *to.rglob("*")):
        os.chown(part, uid, uid, follow_symlinks=False)
    return to


def refused(ended: Ended, *parts: str) -> None:
    assert (ended.code, ended.printed.count("\n")) == (1, 0), ended
    for part in parts:
        assert part in ended.printed, ended


def test_key_files_that_another_user_can_change_are_refused(owner, adversary, kept):
    listing = ("keys", "list", "patients", "--keystore")
    stores = {}
    for name, change in {
        "writable": lambda keys: keys.chmod(0o777),
        "theirs": lambda keys: os.chown(keys, ADVERSARY, ADVERSARY),
        "their-kek": lambda keys: os.chown(keys / "kek.json", ADVERSARY, ADVERSARY),
        "open-kek": lambda keys: (keys / "kek.json").chmod(0o666),
        "their-keyset": lambda keys: os.chown(keys / "patients.json", ADVERSARY, ADVERSARY),
        "pipe": lambda keys: ((keys / "kek.json").unlink(), adversary.pipe(keys / "kek.json")),
        "own-pipe": lambda keys: ((keys / "patients.json").unlink(), owner.pipe(keys / "patients.json"),
                                  (keys / "patients.json").chmod(0o600)),
    }.items():  # fmt: skip
        stores[name] = copied(kept / "keys", owner.folder / f"keys-{name}", OWNER)
        change(stores[name])
    # In a directory that everybody can write, the adversary's own store in the owner's place.
    stores["swapped"] = copied(kept / "keys", owner.temporary / "keys", ADVERSARY)
    data_keys = [shutil.copy(kept / "data.key", kept / f"{n}.key") for n in range(3)]
    os.chown(data_keys[0], ADVERSARY, ADVERSARY)
    Path(data_keys[1]).chmod(0o666)
    os.chown(data_keys[1], OWNER, OWNER)
    Path(data_keys[2]).unlink()
    adversary.pipe(Path(data_keys[2]))
    unsealing = (
        "unseal",
        "--source",
        f"dataset:{kept}/sealed/shapes",
        "--output",
        owner.folder / "no" / "shapes",
    )
    ended = owner.run(
        *((*listing, store) for store in stores.values()),
        *((*unsealing, "--data-key", key) for key in data_keys),
    )
    for name, one in zip([*stores, *data_keys], ended, strict=True):
        refused(one, str(stores.get(name, name)))


def test_what_lies_where_a_job_writes_leads_it_nowhere(owner, adversary, kept, place):
    """The owner's other files stay as they are, in folders that another user has prepared."""
    job = "1.0.0-0123456789ab"
    precious = copied(kept / "plain" / "shapes", owner.folder / "precious", OWNER)
    for folder in (job, "photos"):
        owner.write(owner.make(precious / folder) / "holiday.jpg", b"x")
    target = owner.folder / "made-through-a-link"
    homes = {}
    for name in ("home", "linked-home", "work", "linked-work", "lock", "version"):
        user = adversary if name.endswith("home") else owner
        user.make(place / "shared" / name, 0o777)
        homes[name] = place / "shared" / name / "shapes"
        if name != "linked-home":
            user.make(homes[name], 0o777)  # the owner's as with umask 000
    adversary.link(homes["home"] / "_work", precious)
    adversary.link(homes["linked-home"], precious)
    adversary.link(adversary.make(homes["work"] / "_work", 0o777) / job, precious)
    adversary.link(homes["linked-work"] / "_work", precious)
    adversary.link(owner.make(homes["lock"] / "_work", 0o777) / "lock", target)
    adversary.link(homes["version"] / "1.0.0", precious)
    before = snapshot(precious)
    words = (
        "encrypt",
        "--source",
        f"dataset:{kept}/plain/shapes",
        "--keystore",
        kept / "keys",
        "--key",
        "patients",
    )
    ended = owner.run(*((*words, "--output", home) for home in homes.values()))
    for home, one in zip(homes.values(), ended, strict=True):
        refused(one, str(home))
    assert snapshot(precious) == before
    assert not target.exists()


def test_an_exported_key_is_not_written_through_a_link(owner, adversary, kept, place):
    target = owner.folder / "elsewhere"
    adversary.link(place / "shared" / "export.key", target)
    words = (
        "keys",
        "export",
        "patients",
        "--dataset",
        kept / "sealed" / "shapes",
        "--keystore",
        kept / "keys",
    )
    (ended,) = owner.run((*words, "--output", place / "shared" / "export.key"))
    assert not target.exists()
    assert ended.code == 1 or not (place / "shared" / "export.key").is_symlink()


def test_no_command_waits_for_a_named_pipe_or_reads_a_file_without_end(owner, adversary, kept, place):
    """In a dataset of another user's, whom the owner reads."""
    shard = min(path.name for path in (kept / "enc" / "shapes" / "1.0.0").glob("*.tfrecord-*"))
    pipes = (
        "encryption.json",
        "dataset_info.json",
        "features.json",
        "label.labels.txt",
        "retired.json",
        shard,
    )
    commands, homes = [], []
    for number, name in enumerate((*pipes, "encryption.json", shard)):
        home = copied(kept / "enc" / "shapes", adversary.folder / f"read-{number}", ADVERSARY)
        path = home / "1.0.0" / name
        path.unlink(missing_ok=True)
        if number < len(pipes):
            adversary.pipe(path)
        else:
            adversary.write(path, b"")
            os.truncate(path, 1 << 40)
        homes.append(home)
        output = ("--output", owner.folder / "read" / f"s{number}", "--keystore", kept / "keys")
        commands.append(("decrypt", "--source", f"dataset:{home}", *output))
    ended = owner.run(*commands, seconds=100)
    for home, one in zip(homes, ended, strict=True):
        refused(one, str(home))


def test_the_datasets_are_sound_after_all(kept):
    assert committed_versions(str(kept / "enc" / "shapes")) == ["1.0.0"]
    assert open_dataset(str(kept / "plain" / "shapes")).version == "1.0.0"
