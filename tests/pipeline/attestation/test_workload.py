"""The program's part: where a token comes from, and where its private key is."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import shlex
import shutil
import socketserver
import sys
import threading
from pathlib import Path

import pytest

import lpe as api
from lpe.pipeline import clock
from lpe.pipeline.attestation import memory, providers
from lpe.pipeline.attestation.identity import open_identity, read_identity
from lpe.pipeline.attestation.providers import provider
from lpe.pipeline.attestation.request import Request
from lpe.transforms.errors import AttestationError, KeyStoreError, UsageError
from tests.pipeline.attestation.stub_service import AUDIENCE
from tests.pipeline.running import flipped
from tests.secret_bytes import found

NONCES = ("5" * 64, "a" * 64)


pytestmark = pytest.mark.usefixtures("in_memory")


@pytest.fixture
def offer(owner) -> str:
    """The file of an offer."""
    path = owner.folder / "offer.json"
    path.write_bytes(owner.offer().to_bytes())
    return str(path)


@contextlib.contextmanager
def launcher(folder: Path, status: int, answer: bytes):
    """The agent of a Confidential Space machine, and what it was asked; with status 0 the answer is all it sends."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["Content-Type"], json.loads(body)))
            with contextlib.suppress(BrokenPipeError):  # of a client that has read enough
                if status:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                self.wfile.write(answer)

        def address_string(self):
            return "a Unix socket"

        def log_message(self, *_):
            pass

    path = str(folder / "teeserver.sock")
    with socketserver.ThreadingUnixStreamServer(path, Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield path, asked
        finally:
            server.shutdown()
            thread.join()


def python(program: str) -> str:
    """The provider that is a program in Python."""
    return f"command:{shlex.join((sys.executable, '-c', program))}"


def no_token(name: str, *parts: str) -> None:
    """The provider has no token, and says so in one line."""
    with pytest.raises(AttestationError) as error:
        provider(name)(AUDIENCE, NONCES)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
    for part in parts:
        assert part in str(error.value)


def test_confidential_space_is_asked_for_a_token_with_this_audience_and_both_nonces(in_memory, monkeypatch):
    with launcher(in_memory, 200, b" ab.cd.ef\n") as (path, asked):
        monkeypatch.setattr(providers, "_SOCKET", path)
        assert provider("confidential-space")(AUDIENCE, NONCES) == "ab.cd.ef"
    body = {"audience": AUDIENCE, "token_type": "OIDC", "nonces": list(NONCES)}
    assert asked == [("/v1/token", "application/json", body)]


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (500, b"out of\nmemory", "refused a token: 500 out of memory"),
        (302, b"", "refused a token: 302"),
        (200, b"", "gave no token, but 0 bytes"),
        (200, b"x" * 10_000_000, "gave no token"),
        (200, "é".encode(), "gave no token, but other bytes"),
        (0, b"\x00garbage\n\n", "no token to be had"),
        (0, b"", "no token to be had"),
    ],
    ids=["error", "redirect", "empty", "long", "not ASCII", "no HTTP", "nothing"],
)
def test_an_agent_that_gives_no_token_is_named_in_one_line(in_memory, monkeypatch, status, answer, said):
    with launcher(in_memory, status, answer) as (path, _):
        monkeypatch.setattr(providers, "_SOCKET", path)
        no_token("confidential-space", path, said)


def test_an_agent_that_does_not_answer_is_not_waited_for(in_memory, monkeypatch):
    monkeypatch.setattr(providers, "_SECONDS", 0.2)
    with socketserver.UnixStreamServer(
        str(in_memory / "agent"), http.server.BaseHTTPRequestHandler
    ) as server:
        monkeypatch.setattr(providers, "_SOCKET", server.server_address)
        no_token("confidential-space", "timed out")


def test_elsewhere_than_in_confidential_space_there_is_no_agent(in_memory, monkeypatch):
    monkeypatch.setattr(providers, "_SOCKET", str(in_memory / "none.sock"))
    no_token("confidential-space", "not a Confidential Space machine")


def test_a_command_is_given_audience_and_nonces_and_prints_the_token():
    asked = python(
        "import json, sys; asked = json.load(sys.stdin); print(asked['audience'], *asked['nonces'])"
    )
    assert provider(asked)(AUDIENCE, NONCES) == f"{AUDIENCE} {NONCES[0]} {NONCES[1]}"
    assert provider("command:echo 'a  b' $HOME;")(AUDIENCE, NONCES) == "a  b $HOME;"  # there is no shell


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('no\\nnetwork')", "exit 1: no network"),
        ("import os; os.kill(os.getpid(), 9)", "exit -9"),
        ("", "gave no token, but 0 bytes"),
        ("print()", "gave no token"),
        ("import sys; sys.stdout.buffer.write(bytes(range(256)))", "gave no token, but other bytes"),
        ("print('x' * 70_000)", "gave no token, but 70001 bytes"),
    ],
    ids=["fails", "is killed", "prints nothing", "prints an empty line", "prints bytes", "prints too much"],
)
def test_a_command_that_gives_no_token_is_named_in_one_line(program, said):
    no_token(python(program), sys.executable, said)


def test_a_command_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(providers, "_SECONDS", 0.3)
    no_token("command:sleep 60", "sleep: no token within 0.3 seconds")


def test_a_command_that_there_is_not_is_named():
    no_token("command:no-such-program --now", "no-such-program", "No such file")
    no_token("command:''", "no token")
    with pytest.raises(UsageError, match="No closing quotation"):
        provider("command:echo 'a")(AUDIENCE, NONCES)


def test_a_file_that_is_not_there_yet_is_asked_for(tmp_path):
    path = tmp_path / "token"
    no_token(f"file:{path}", str(path), AUDIENCE, *NONCES)
    path.write_text("ab.cd.ef\n")
    assert provider(f"file:{path}")(AUDIENCE, NONCES) == "ab.cd.ef"
    no_token(f"file:{tmp_path}", str(tmp_path), "make it readable")


@pytest.mark.parametrize(
    "name",
    ["", "azure", "Confidential-space", "confidential-space:x", "command:", "command: ", "file:", "ab"],
)
def test_an_unknown_provider_is_refused(name):
    with pytest.raises(UsageError, match="there are confidential-space, command:PROGRAM, file:PATH"):
        provider(name)


def test_the_private_key_is_a_file_in_memory_for_its_user_alone(owner, offer, in_memory):
    attested = api.attest(offer, str(owner.folder / "request.json"), owner.service.provider())
    identity = Path(attested.identity)
    assert identity.is_relative_to(in_memory)
    assert (identity.stat().st_mode & 0o777, identity.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    secret = read_identity(attested.identity).private_bytes()
    written = [path for path in owner.folder.rglob("*") if path.is_file()]
    assert not [path for path in written if found([secret], path.read_bytes())]
    assert found([secret], identity.read_bytes())  # where it is found


def test_a_second_attest_asks_under_the_same_private_key(owner, offer, tmp_path):
    token = tmp_path / "token"
    outputs = [str(tmp_path / f"request-{i}.json") for i in range(3)]
    with pytest.raises(AttestationError, match="no such file") as asked:
        api.attest(offer, outputs[0], f"file:{token}")
    first, second = (api.attest(offer, output, owner.service.provider()) for output in outputs[:2])
    assert first.fingerprint in str(asked.value)
    assert (first.fingerprint, first.identity) == (second.fingerprint, second.identity)
    with pytest.raises(UsageError, match="exists; choose another --output"):
        api.attest(offer, outputs[0], owner.service.provider())
    release, _ = owner.release(Path(outputs[1]).read_bytes())
    answer = tmp_path / "release.json"
    answer.write_bytes(release.to_bytes())
    assert api.open_release(str(answer)).dataset.name == "shapes"
    Path(first.identity).unlink()
    with pytest.raises(AttestationError, match="no private key here"):
        api.open_release(str(answer))


def test_the_request_is_bound_to_the_private_key_s_public_part(owner, offer, in_memory, tmp_path):
    path = str(in_memory / "mine")
    attested = api.attest(offer, str(tmp_path / "request"), owner.service.provider(), path)
    request = Request.from_bytes((tmp_path / "request").read_bytes(), "")
    assert attested.identity == path
    assert (open_identity(path).public, open_identity(path).fingerprint) == (
        request.public_key,
        attested.fingerprint,
    )


def test_a_private_key_is_not_written_to_a_disk_nor_read_from_one(tmp_path, in_memory):
    if memory._file_system(tmp_path) in memory._IN_MEMORY:
        pytest.skip("the folder for temporary files is in memory")
    path = tmp_path / "identity"
    with pytest.raises(AttestationError, match=r"not in memory; a private key belongs on a tmpfs"):
        open_identity(str(path))
    assert not path.exists()
    shutil.copy(known(in_memory), path)
    with pytest.raises(AttestationError, match="not in memory"):
        read_identity(str(path))
    (in_memory / "link").symlink_to(path)
    with pytest.raises(AttestationError, match="not in memory"):
        open_identity(str(in_memory / "link"))


def known(folder: Path) -> Path:
    """The file of a new private key."""
    path = folder / "known"
    open_identity(str(path))
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_private_key_that_others_may_read_is_refused(in_memory, mode):
    path = known(in_memory)
    path.chmod(mode)
    with pytest.raises(KeyStoreError, match=f"chmod 600 {re.escape(str(path))}"):
        open_identity(str(path))


def test_a_damaged_private_key_is_not_quoted(in_memory):
    path = known(in_memory)
    content = path.read_bytes()
    secret = read_identity(str(path)).private_bytes()
    at = content.index(b'"private_key": "') + 20
    damaged = [
        content[:at],
        content[: at + 10] + content[at + 11 :],
        content.replace(b": 1", b": 2"),
        b"",
        b"[]",
    ]
    for bad in (*damaged, flipped(content, 0), content.replace(b"private_key", b"private-key")):
        path.write_bytes(bad)
        with pytest.raises(AttestationError, match="damaged; delete it") as error:
            open_identity(str(path))
        shown = f"{error.value} {error.value.__cause__} {error.value.__context__}"
        assert content[at : at + 8].decode() not in shown
        assert not found([secret], shown.encode())


def test_a_directory_in_memory_that_others_may_enter_is_refused(owner, offer, in_memory, tmp_path):
    attested = api.attest(offer, str(tmp_path / "request"), owner.service.provider())
    folder = Path(attested.identity).parent
    folder.chmod(0o755)
    with pytest.raises(AttestationError, match=f"chmod 700 {folder}"):
        api.attest(offer, str(tmp_path / "another"), owner.service.provider())
    assert not (tmp_path / "another").exists()


def test_an_offer_that_stands_no_more_is_not_answered(owner, offer, in_memory, tmp_path, monkeypatch):
    late = clock.now() + api.pipeline.attestation.offer.MOST_VALID
    monkeypatch.setattr(clock, "now", lambda: late)
    with pytest.raises(AttestationError, match=r"the offer expired .* ago; make another"):
        api.attest(offer, str(tmp_path / "request"), owner.service.provider())
    assert list(in_memory.rglob("*.identity")) == []


def test_a_damaged_offer_is_not_answered(owner, offer, in_memory, tmp_path):
    content = Path(offer).read_bytes()
    no_nonce = re.sub(rb'"nonce": "[0-9a-f]*"', b'"nonce": "../../x"', content)
    more = content.replace(b'"keyset"', b'"more": 1, "keyset"')
    for bad in (b"", b"\xff", content[:-20], no_nonce, more, b'{"format_version": 2}', b"x" * (1 << 20)):
        Path(offer).write_bytes(bad)
        with pytest.raises(AttestationError, match=f"^{re.escape(offer)}: .*ask for it again$") as error:
            api.attest(offer, str(tmp_path / "request"), owner.service.provider())
        assert "\n" not in str(error.value)
    Path(offer).unlink()
    with pytest.raises(AttestationError, match="no such file"):
        api.attest(offer, str(tmp_path / "request"), owner.service.provider())
    assert list(in_memory.rglob("*.identity")) == []


def test_a_machine_without_a_tmpfs_is_told_so(owner, offer, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_SHARED_MEMORY", str(tmp_path / "shm"))
    with pytest.raises(AttestationError, match="not in memory"):
        api.attest(offer, str(tmp_path / "request"), owner.service.provider())
    monkeypatch.setattr(memory, "_MOUNTS", tmp_path / "no mounts")
    with pytest.raises(AttestationError, match="on an unknown file system, not in memory"):
        api.attest(offer, str(tmp_path / "request"), owner.service.provider())
    assert not (tmp_path / "shm").exists()


def test_the_innermost_mount_decides_what_a_path_is_on(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    lines = ("/dev/a / ext4 rw 0 0", "tmpfs /m tmpfs rw 0 0", "/dev/b /m/my\\040disk ext4 rw 0 0")
    mounts.write_text("\n".join(lines))
    monkeypatch.setattr(memory, "_MOUNTS", mounts)
    memory.check_in_memory("/m/key")
    for path in ("/mm/key", "/m/my disk/key", "/m/../key"):
        with pytest.raises(AttestationError, match="on ext4, not in memory"):
            memory.check_in_memory(path)
