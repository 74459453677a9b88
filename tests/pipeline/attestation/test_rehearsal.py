"""The whole of it on one machine: owner and program as two system users, from the sealed dataset to the model's answer.

Where other users cannot read the interpreter, as below somebody's home, both are this one; all else is the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import lpe
from lpe.pipeline.keystore import KeyStore
from lpe.transforms import labels
from tests.pipeline.attestation.certificates import server_certificate
from tests.pipeline.attestation.stub_service import AUDIENCE, DIGEST, StubService
from tests.secret_bytes import found
from tests.tamper.users import ADVERSARY, CHECKOUT, OWNER, User, check_possible

pytestmark = pytest.mark.slow
IMAGES = 200
SHARED_MEMORY = Path("/dev/shm")
WORKLOAD = CHECKOUT / "deploy" / "confidential" / "workload.py"


@pytest.fixture(scope="module", params=["two users", "one user"])
def users(request) -> Iterator[tuple[User, User]]:
    """The owner and the program's account."""
    two = request.param == "two users"
    if two:
        check_possible()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        made = []
        for name, uid in (("owner", OWNER), ("program", ADVERSARY)):
            user = User(uid if two else os.geteuid(), root / name, root / name / "tmp")
            user.make(user.folder)
            user.make(user.temporary)
            made.append(user)
        yield made[0], made[1]
        shutil.rmtree(SHARED_MEMORY / f"lpe-{made[1].uid}", ignore_errors=True)


@pytest.fixture(scope="module")
def service(users) -> StubService:
    """The attestation service; its key is the program's to read, as it is a command that signs."""
    owner, program = users
    made = StubService(program.folder / "service.pem")
    os.chown(program.folder / "service.pem", program.uid, program.uid)
    owner.write(owner.folder / "google.json", made.jwks().encode())
    return made


@pytest.fixture(scope="module")
def prepared(users, service) -> User:
    """The owner, with a sealed dataset of plain images and a policy."""
    owner, _ = users
    keys, sealed = owner.folder / "keys", owner.folder / "sealed" / "shapes"
    store = ("--keystore", keys)
    commands = owner.run(
        ("keys", "create", "patients", *store),
        ("encrypt", "--source", f"synthetic:{IMAGES}", "--output", sealed, "--cipher", "plain", "--seal",
         *store, "--key", "patients", "--workers", "1"),
        ("keys", "policy", "--dataset", sealed, "--output", owner.folder / "photos.toml", "--audience", AUDIENCE,
         "--jwks", owner.folder / "google.json", "--image-digest", DIGEST, "--hardware", "GCP_INTEL_TDX",
         "--support", "STABLE", "--confidential-gpu"),
    )  # fmt: skip
    assert [command.code for command in commands] == [0, 0, 0], commands
    return owner


def provider(program: User) -> str:
    return f"command:{sys.executable} -m tests.pipeline.attestation.stub_service {program.folder}/service.pem {{}}"


@contextlib.contextmanager
def key_store(owner: User) -> Iterator[KeyStore]:
    """The owner's key store, copied, since another user's is not opened."""
    with tempfile.TemporaryDirectory() as folder:
        yield KeyStore(shutil.copytree(owner.folder / "keys", Path(folder, "keys")).as_posix())


def data_key(owner: User) -> bytes:
    """The secret that nobody may find."""
    sealed = lpe.sealed_dataset(str(owner.folder / "sealed" / "shapes"))
    with key_store(owner) as keys:
        return keys.open("patients").compute(labels.data_key(sealed.salt), 32)


@contextlib.contextmanager
def looking(program: User) -> Iterator[dict[str, bytes]]:
    """Everything that the program writes, and its processes' arguments and environment, as root would see them.

    Yields:
      When the block has ended: what was seen, by path.
    """
    seen: dict[str, bytes] = {}
    ended = threading.Event()
    places = (program.folder, SHARED_MEMORY)

    def look() -> None:
        while not ended.wait(0.02):
            files = [path for place in places for path in place.rglob("*") if path.is_file()]
            for process in Path("/proc").glob("[0-9]*"):
                files += [process / "cmdline", process / "environ"]
            for path in files:
                with contextlib.suppress(OSError):
                    status = path.stat()
                    mine = status.st_uid == program.uid
                    name = f"{path} {status.st_mtime_ns} {status.st_size}"
                    if mine and (name not in seen or status.st_size == 0):
                        seen[name] = path.read_bytes()[: 8 << 20]

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def carry(path: Path, to: User) -> Path:
    """Any channel between the two."""
    return to.write(to.folder / path.name, path.read_bytes())


def sealed_for(program: User, owner: User) -> Path:
    """The sealed dataset, where the program reads it."""
    copy = program.folder / "sealed"
    if not copy.exists():
        shutil.copytree(owner.folder / "sealed", copy)
        for path in (copy, *copy.rglob("*")):
            os.chown(path, program.uid, program.uid)
    return copy / "shapes"


def check_model(owner: User, model: Path) -> None:
    """The model answers its owner, and nobody else."""
    Image.new("RGB", (32, 32), (200, 30, 30)).save(owner.folder / "photo.png")
    os.chown(owner.folder / "photo.png", owner.uid, owner.uid)
    command = ("predict", "--model", carry(model, owner), "--json", owner.folder / "photo.png")
    refused, answered = owner.run(command, (*command, "--keystore", owner.folder / "keys"))
    assert refused.code == 2
    assert "pass --keystore" in refused.printed
    assert answered.code == 0, answered
    (prediction,) = json.loads(answered.printed.splitlines()[-1])["predictions"]
    assert 0 < prediction["probability"] <= 1


def test_by_files(users, prepared, service):
    owner, program = prepared, users[1]
    store = ("--keystore", owner.folder / "keys", "--policy", owner.folder / "photos.toml")
    (offered,) = owner.run(
        ("keys", "offer", "patients", *store, "--dataset", owner.folder / "sealed" / "shapes",
         "--output", owner.folder / "offer.json"),
    )  # fmt: skip
    assert offered.code == 0, offered
    offer, sealed = carry(owner.folder / "offer.json", program), sealed_for(program, owner)
    with looking(program) as seen:
        (attested,) = program.run(
            (
                "attest",
                "--offer",
                offer,
                "--output",
                program.folder / "request.json",
                "--token",
                provider(program),
            ),
        )
        assert attested.code == 0, attested
        request = carry(program.folder / "request.json", owner)
        release = ("keys", "release", "patients", request, *store, "--output")
        first, again = owner.run((*release, owner.folder / "r.json"), (*release, owner.folder / "r2.json"))
        assert (first.code, again.code) == (0, 1), (first, again)
        assert "good for one release" in again.printed
        assert not (owner.folder / "r2.json").exists()
        (trained,) = program.run(
            ("train", "--data", sealed, "--release", carry(owner.folder / "r.json", program), "--epochs", "1",
             "--output", program.folder / "model.sealed"),
        )  # fmt: skip
    assert trained.code == 0, trained
    check_model(owner, program.folder / "model.sealed")
    check_nothing_leaked(owner, program, seen, attested.printed + trained.printed)
    with key_store(owner) as keys:
        trail = keys.audit_log("patients")
    assert not trail.problems
    decisions = [event["event"] for event in trail.events if "release" in event["event"]]
    assert decisions == ["data key released", "release refused"]


def check_nothing_leaked(owner: User, program: User, seen: dict[str, bytes], printed: str) -> None:
    secret = [data_key(owner)]
    assert any("cmdline" in name and b"python" in content for name, content in seen.items())
    assert any(name.startswith(f"{SHARED_MEMORY}/lpe-{program.uid}/work-") for name in seen)
    assert [name for name, content in seen.items() if found(secret, content)] == []
    assert not found(secret, printed.encode())
    assert not list((SHARED_MEMORY / f"lpe-{program.uid}").iterdir())
    # The search would find it.
    assert found(secret, b"{'key': '" + secret[0].hex().encode() + b"'}")


def test_over_https_by_the_program_of_the_container(users, prepared, service):
    owner, program = prepared, users[1]
    certificate, key = server_certificate(owner.folder)
    for path in (certificate, key):
        os.chown(path, owner.uid, owner.uid)
    server = owner.start(
        "-m", "lpe", "keys", "serve", "patients", "--keystore", str(owner.folder / "keys"), "--dataset",
        str(owner.folder / "sealed" / "shapes"), "--policy", str(owner.folder / "photos.toml"), "--certificate",
        str(certificate), "--private-key", str(key), "--port", "0",
    )  # fmt: skip
    written = [SHARED_MEMORY / name for name in ("owner.pem", "cache")]
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        (address,) = re.findall(r"https://127\.0\.0\.1:\d+", line) or pytest.fail(line)
        with looking(program) as seen:
            process = program.start(
                str(WORKLOAD),
                LPE_DATA=str(sealed_for(program, owner)),
                LPE_OUTPUT=str(program.folder / "container.sealed"),
                LPE_OWNER=address,
                LPE_OWNER_CERTIFICATES=certificate.read_text(),
                LPE_EPOCHS="1",
                LPE_PROVIDER=provider(program),
                PYTHONPATH=str(CHECKOUT),
            )
            printed, _ = process.communicate(timeout=240)
        assert process.returncode == 0, printed
        server.send_signal(signal.SIGTERM)
        log, _ = server.communicate(timeout=60)
    finally:
        server.kill()
        for path in written:
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True) if path.is_file() else None
    assert server.returncode == 0, log
    assert [line.split(" ", 1)[1].split(":")[0] for line in log.splitlines()] == [
        "offer to 127.0.0.1",
        "release to 127.0.0.1",
        "stopped",
    ]
    assert not found([data_key(owner)], (line + log).encode())
    check_model(owner, program.folder / "container.sealed")
    check_nothing_leaked(owner, program, seen, printed)
