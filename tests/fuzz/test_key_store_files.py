"""Every file of a key store, damaged: what reads it succeeds or ends in one line, in which no key is quoted."""

import base64
import datetime
import json
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpe.pipeline import clock, storage
from lpe.pipeline.cli.app import main
from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, INFO_FILE
from lpe.pipeline.jobs.keyset_status import keyset_status
from lpe.pipeline.keystore import KeyStore, Registry
from lpe.pipeline.seal.data_key import DataKey, load_data_key
from lpe.pipeline.storage import leases
from lpe.transforms.errors import BusyError, LpeError
from tests.fuzz.budget import fuzz
from tests.fuzz.mutations import HOSTILE_TEXTS, mutated, mutated_json
from tests.fuzz.trial import check_line, limits, trial
from tests.secret_bytes import kek_key, needles, prf_keys


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A key store with two keys, a killed change, a used dataset and a registered run."""
    root = tmp_path_factory.mktemp("whole")
    store, registry = KeyStore(str(root / "keys")), Registry(str(root / "keys"))
    first = store.create("patients", rotation_period="30d")[0].id
    version = root / "enc" / "s" / "1.0.0"
    version.mkdir(parents=True)
    (version / INFO_FILE).write_text("{}")
    (version / ENCRYPTION_FILE).write_text(json.dumps({"key": {"name": "patients", "id": first}}))
    registry.record_dataset("patients", first, str(version))
    registry.register_run("patients", first, str(root / "run"), "5a17")
    store.rotate("patients")
    before = (root / "keys" / "patients.meta.json").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "write_atomic", killed_at_the_log(storage.write_atomic))
        with pytest.raises(KeyboardInterrupt):
            store.disable("patients", first)
    assert b"pending" in (root / "keys" / "patients.meta.json").read_bytes() != before
    DataKey(secrets.token_bytes(32), "5a17").export(str(root / "data-key.json"), "s 1.0.0")
    return root


def killed_at_the_log(write: Callable[..., None]) -> Callable[..., None]:
    def killed(path: str, data: bytes, **options: bool) -> None:
        if path.endswith(".log.jsonl"):
            raise KeyboardInterrupt
        write(path, data, **options)

    return killed


@pytest.fixture
def root(whole, tmp_path) -> Path:
    shutil.copytree(whole, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def secret(whole) -> list[bytes]:
    """What a message must not hold."""
    keystore = str(whole / "keys")
    data_key = json.loads((whole / "data-key.json").read_text())["keyset"]["key"][0]["keyData"]["value"]
    keys = [
        *prf_keys(keystore, "patients").values(),
        kek_key(keystore)[-32:],
        base64.b64decode(data_key)[-32:],
    ]
    return [needle for key in keys for needle in needles(key)]


def tries(call: Callable[[], object], secret: list[bytes]) -> None:
    """Does it; an error is one of ours, in one line that quotes no key."""
    try:
        call()
    except LpeError as error:
        line = str(error)
        check_line(line)
        assert not any(needle in line.encode() for needle in secret), line


def reading(root: Path) -> list[Callable[[], object]]:
    """All that reads a key store and changes nothing."""
    keys = str(root / "keys")
    store, registry = KeyStore(keys), Registry(keys)
    return [
        store.names,
        lambda: keyset_status(keys, "patients", [str(root / "enc")]).to_json(),
        lambda: store.open("patients"),
        lambda: store.audit_log("patients"),
        lambda: store.would_destroy("patients", lambda use: False, rotated=True),
        lambda: registry.stale_runs("patients", "5a17"),
    ]


def changing(root: Path, old: int) -> list[Callable[[], object]]:
    """What changes it, more and more."""
    keys = str(root / "keys")
    store, registry = KeyStore(keys), Registry(keys)
    return [
        lambda: store.create("patients"),
        lambda: store.enable("patients", old),
        lambda: store.accept("patients"),
        lambda: store.rotate_if_due("patients"),
        lambda: registry.log("patients", "dataset encrypted", dataset="/d", key=1),
        lambda: registry.forget("patients", str(root / "run")),
        lambda: store.destroy("patients", old, force=True),
    ]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    """A damaged file may name a bucket; nobody asks the network for credentials."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))


def damaged(name: str, content: bytes) -> st.SearchStrategy[bytes]:
    documents = mutated_lines(content) if name.endswith("jsonl") else mutated_json(content)
    return st.one_of(documents, mutated(content))


FILES = ("kek.json", "patients.json", "patients.meta.json", "patients.log.jsonl")


@pytest.mark.parametrize("name", FILES)
def test_reading_a_damaged_key_store_ends_in_one_line(root, whole, secret, name):
    path = root / "keys" / name

    @fuzz(20)
    @given(damaged(name, path.read_bytes()))
    def tried(data: bytes) -> None:
        path.write_bytes(data)
        with limits():
            for call in reading(root):
                tries(call, secret)

    tried()


@pytest.mark.parametrize("name", FILES)
def test_changing_a_damaged_key_store_ends_in_one_line(root, whole, secret, name):
    old = KeyStore(str(root / "keys")).keys("patients")[0].id

    @fuzz(3)
    @given(damaged(name, (whole / "keys" / name).read_bytes()))
    def tried(data: bytes) -> None:
        shutil.copytree(whole / "keys", root / "keys", dirs_exist_ok=True)
        (root / "keys" / name).write_bytes(data)
        with limits():
            for call in changing(root, old):
                tries(call, secret)
            for call in reading(root):  # what was written can be read
                tries(call, secret)

    tried()


@pytest.mark.parametrize("name", FILES)
def test_a_command_on_a_damaged_key_store_prints_one_line(root, secret, name, capsys):
    path = root / "keys" / name

    @fuzz(3)
    @given(damaged(name, path.read_bytes()))
    def tried(data: bytes) -> None:
        path.write_bytes(data)
        for words in (("list", "--root", str(root / "enc")), ("log",)):
            code = main(["keys", words[0], "patients", "--keystore", str(root / "keys"), *words[1:]])
            printed = capsys.readouterr()
            assert code in (0, 1), printed.err
            assert "internal error" not in printed.err
            if printed.err:
                check_line(printed.err.removesuffix("\n"))
            text = (printed.out + printed.err).encode()
            assert not any(needle in text for needle in secret)
            assert b"\x1b" not in text

    tried()


@st.composite
def mutated_lines(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.splitlines()
    at = draw(st.integers(0, len(lines) - 1))
    lines[at] = draw(mutated_json(lines[at]))
    return b"\n".join(lines) + b"\n"


def test_a_damaged_data_key_ends_in_one_line(root, secret):
    path = root / "data-key.json"

    @fuzz(20)
    @given(damaged(path.name, path.read_bytes()))
    def tried(data: bytes) -> None:
        path.write_bytes(data)
        with limits():
            tries(lambda: load_data_key(str(path)), secret)

    tried()


def test_a_damaged_description_of_a_dataset_is_no_error_of_its_key(root, whole):
    path = root / "enc" / "s" / "1.0.0" / ENCRYPTION_FILE
    content = path.read_bytes()

    @fuzz(10)
    @given(st.one_of(mutated_json(content), mutated(content)))
    def tried(data: bytes) -> None:
        path.write_bytes(data)
        assert trial(lambda: Registry(str(root / "keys")).uses("patients", [str(root / "enc")])) is not None

    tried()


class _Object:
    """An object of a store that holds what somebody else put there."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self) -> tuple[bytes, str]:
        return self.content, "tag"

    def write(self, content: bytes, tag: str | None) -> str | None:
        return "new" if tag == "tag" else None

    def delete(self, tag: str) -> None:
        raise AssertionError("a lock of somebody else is not deleted")


def test_a_damaged_lease_ends_in_one_line(monkeypatch):
    lease = b'{"owner": "ab12", "user": "somebody", "expires": "2026-01-01T00:00:00+00:00"}'

    @fuzz(10)
    @given(st.one_of(mutated_json(lease), mutated(lease)))
    def tried(data: bytes) -> None:
        monkeypatch.setattr(leases, "conditional_object", lambda path: _Object(data))
        trial(lambda: leases.Lease("s3://bucket/.lock", "it", 60.0).acquire(0.0))

    tried()


@pytest.mark.parametrize(
    "text",
    [
        *(text for text in HOSTILE_TEXTS if not re.fullmatch(r"\w{1,100}", text, re.ASCII)),
        "kek",
        "KEK",
        "a\n",
    ],
)
def test_no_name_of_a_keyset_leads_out_of_the_store(root, text):
    before = sorted(path for path in root.rglob("*"))
    store, registry = KeyStore(str(root / "keys")), Registry(str(root / "keys"))
    for call in (
        store.create,
        store.exists,
        store.open,
        store.rotate,
        store.metadata,
        store.audit_log,
        lambda name: registry.uses(name, []),
        lambda name: registry.log(name, "event"),
        lambda name: registry.record_dataset(name, 1, "/d"),
    ):
        with pytest.raises(LpeError, match="cannot name a keyset") as error:
            call(text)
        check_line(str(error.value))
    assert sorted(path for path in root.rglob("*") if path.name != ".lock") == [
        path for path in before if path.name != ".lock"
    ]


def test_a_live_lease_names_its_holder(monkeypatch):
    soon = (clock.now() + datetime.timedelta(minutes=5)).isoformat(timespec="seconds")
    lease = {"owner": "ab12", "user": "somebody", "expires": soon}
    monkeypatch.setattr(leases, "conditional_object", lambda path: _Object(json.dumps(lease).encode()))
    with pytest.raises(BusyError, match=re.escape("of somebody, lock s3://bucket/.lock")):
        leases.Lease("s3://bucket/.lock", "it", 60.0).acquire(0.0)
