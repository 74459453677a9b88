"""lpe keys serve: what it answers, to whom, and what it says of that."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
import uvicorn

import lpe as api
from lpe.pipeline.attestation import hpke
from lpe.pipeline.attestation.owner_service import OFFER_PATH, RELEASE_PATH
from lpe.pipeline.jobs import bounded_connection, key_server
from lpe.pipeline.jobs.bounded_connection import BoundedConnection
from lpe.transforms.errors import AttestationError, BusyError, UsageError
from tests.pipeline.attestation.serving import make_certificate, served, serving
from tests.pipeline.running import refused
from tests.secret_bytes import found, kek_key, prf_keys

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def served_owner(make_owner):
    """The owner whose key server runs."""
    return make_owner()


@pytest.fixture(scope="module")
def server(served_owner, certificate):
    with served(served_owner, certificate, "--most-per-minute", 10_000) as running:
        yield running


def reason(answer: http.client.HTTPResponse) -> str:
    return json.loads(answer.read())["error"]


def listening(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def spec_of(owner, certificate) -> api.ServeSpec:
    files = (owner.dataset, owner.keystore, "patients", owner.policy, certificate.path, certificate.key)
    return api.ServeSpec(*files)


def test_a_program_gets_its_key_and_gets_it_again_after_a_restart(server, served_owner):
    before = len(server.lines)
    provider = served_owner.service.provider()
    first, second = (api.attest_to(server.client, provider) for _ in range(2))
    assert first.load().check_value() == second.load().check_value()
    assert first.offer.nonce != second.offer.nonce
    logged = {event["nonce"] for event in served_owner.events("data key released")}
    assert {first.offer.nonce, second.offer.nonce} <= logged
    server.line(f"release to 127.0.0.1: data key of {first.dataset} to sha256:", before + 3)
    said = [line.split(" ", 1)[1].split(":")[0] for line in server.lines[before:]]
    assert said == ["offer to 127.0.0.1", "release to 127.0.0.1"] * 2


def test_a_program_that_the_policy_refuses_is_told_why(server, served_owner):
    before, events = len(server.lines), len(served_owner.events("release refused"))
    with pytest.raises(
        AttestationError, match=r"refused: debugging is enabled, not disabled-since-boot"
    ) as error:
        api.attest_to(server.client, served_owner.service.provider(dbgstat="enabled"))
    assert str(error.value).count("\n") == 0
    server.line("release to 127.0.0.1 refused: debugging is enabled", before)
    assert len(server.lines) == before + 2  # the offer's is the other
    assert len(served_owner.events("release refused")) == events + 1


def test_a_refusal_is_a_403_with_a_reason(server, served_owner, program):
    request = served_owner.request(served_owner.offer(), program, hwmodel="GCP_SHIELDED_VM")
    with server.connected() as connection:
        connection.request("POST", RELEASE_PATH, request.to_bytes(), JSON)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (403, "application/json")
        assert "GCP_SHIELDED_VM" in reason(answer)


def test_a_used_request_is_refused(server, served_owner, program):
    request = served_owner.request(server.client.offer(), program)
    server.client.release(request)
    with pytest.raises(AttestationError, match="the offer was used"):
        server.client.release(request)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"{}", b"[" * 100_000])
def test_what_is_no_request_is_refused(server, body):
    with server.connected() as connection:
        connection.request("POST", RELEASE_PATH, body, JSON)
        answer = connection.getresponse()
        assert answer.status == 403
        assert "\n" not in reason(answer)


def test_a_body_that_is_too_long_is_refused_before_all_of_it_has_come(server):
    before = len(server.lines)
    with server.connected() as connection:
        connection.putrequest("POST", RELEASE_PATH)
        connection.putheader("Content-Length", str(1 << 40))
        connection.endheaders()
        connection.send(b"x" * (300 << 10))
        answer = connection.getresponse()
        assert (answer.status, reason(answer)) == (403, "longer than 256 KiB")
    server.line("refused: longer than 256 KiB", before)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", OFFER_PATH, 405),
        ("GET", RELEASE_PATH, 405),
        ("DELETE", RELEASE_PATH, 405),
        ("GET", "/", 404),
        ("POST", "/v1", 404),
        ("POST", "/v1/../keys/kek.json", 404),
        ("POST", f"{OFFER_PATH}/", 404),
        ("POST", "/docs", 404),
    ],
)
def test_nothing_else_is_served(server, method, path, status):
    with server.connected() as connection:
        connection.request(method, path)
        assert connection.getresponse().status == status


def test_a_slow_program_does_not_keep_another_waiting(server):
    with (
        socket.create_connection(("127.0.0.1", server.port)),
        server.connected() as silent,
        server.connected() as slow,
    ):
        silent.connect()
        slow.putrequest("POST", RELEASE_PATH)
        slow.putheader("Content-Length", "1000")
        slow.endheaders(b"{")
        server.client.offer()
        slow.send(b" " * 999)
        assert slow.getresponse().status == 403


def test_a_body_that_does_not_come_is_refused(served_owner, certificate, monkeypatch):
    monkeypatch.setattr(key_server, "_READING_SECONDS", 0.1)
    said, sent = [], []
    spec = spec_of(served_owner, certificate)

    async def send(message):
        sent.append(message)

    async def ask():
        scope = {"type": "http", "method": "POST", "path": RELEASE_PATH, "headers": [], "query_string": b""}
        await key_server.application(spec, said.append)(scope, asyncio.Event().wait, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 403
    assert [line.split(" ", 1)[1] for line in said] == [
        "release to somebody refused: did not come within 0.1 seconds"
    ]


def test_a_connection_by_which_nothing_comes_is_cut(served_owner, certificate, monkeypatch):
    monkeypatch.setattr(bounded_connection, "_MOST_SECONDS", 0.3)
    served = key_server.application(spec_of(served_owner, certificate), print)
    config = uvicorn.Config(served, port=0, http=BoundedConnection, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        address = server.servers[0].sockets[0].getsockname()
        with socket.create_connection(address, timeout=20) as silent:
            silent.send(b"POST /v1/offer HTTP/1.1\r\nHost")
            with contextlib.suppress(ConnectionResetError):
                assert silent.recv(1) == b""
    finally:
        server.should_exit = True
        thread.join()


def test_without_tls_there_is_no_answer(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", OFFER_PATH)
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.getresponse()
    connection.close()


def test_a_server_with_another_certificate_is_not_asked(server, tmp_path):
    before = len(server.lines)
    other = make_certificate(tmp_path, "other")
    with pytest.raises(AttestationError, match=r"does not answer .*certificate verify failed"):
        api.OwnerService(server.client.url, other.path).offer()
    with pytest.raises(AttestationError, match=r"certificate verify failed"):
        api.OwnerService(server.client.url).offer()
    with pytest.raises(AttestationError, match=r"certificate verify failed"):  # which is for 127.0.0.1
        api.OwnerService(f"https://localhost:{server.port}", server.certificate.path).offer()
    with pytest.raises(UsageError, match=r"other.key: no PEM certificates"):
        api.OwnerService(server.client.url, other.key).offer()
    assert len(server.lines) == before


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8443",
        "127.0.0.1:8443",
        "https://",
        "https://:8443",
        "https://127.0.0.1:0",
        "https://127.0.0.1:99999",
        "https://127.0.0.1:port",
        "https://127.0.0.1/v1/offer",
        "https://127.0.0.1?a=b",
        "https://127.0.0.1#a",
        "https://user@127.0.0.1",
        "https://:secret@127.0.0.1",
        "https://@127.0.0.1",
    ],
)
def test_an_address_of_another_form_is_refused(url):
    with pytest.raises(UsageError, match="https://HOST:PORT") as error:
        api.OwnerService(url)
    assert "secret" not in str(error.value)


def test_nobody_listens_there(certificate):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(AttestationError, match=r"does not answer .*refused"):
            api.OwnerService(url, certificate.path).offer()


def test_a_server_that_is_asked_too_often_says_so(make_owner, certificate, tmp_path):
    owner = make_owner(tmp_path)
    with served(owner, certificate, "--most-per-minute", 2) as server:
        api.attest_to(server.client, owner.service.provider())
        with pytest.raises(BusyError, match="asked too often; wait a minute"):
            server.client.offer()
        with server.connected() as connection:
            connection.request("POST", RELEASE_PATH, b"{}", JSON)
            assert connection.getresponse().status == 429
        server.line("release to 127.0.0.1 refused: asked too often")
        assert not owner.events("release refused")
        assert server.ended(signal.SIGINT) == (0, "")
        assert [line.split(" ", 1)[1].split(":")[0] for line in server.lines] == [
            f"serving the data key of {owner.dataset} at https",
            "offer to 127.0.0.1",
            "release to 127.0.0.1",
            "offer to 127.0.0.1 refused",
            "release to 127.0.0.1 refused",
            "stopped",
        ]
    secrets = [owner.data_key(), kek_key(owner.keystore), *prf_keys(owner.keystore, "patients").values()]
    log = b"".join(path.read_bytes() for path in Path(owner.keystore).rglob("*log*") if path.is_file())
    assert log
    assert not found(secrets, "\n".join(server.lines).encode() + log)


def test_what_is_being_answered_is_answered_before_the_server_stops(make_owner, certificate, tmp_path):
    owner = make_owner(tmp_path)
    key = hpke.PrivateKey.new()
    with served(owner, certificate) as server, server.connected() as idle, server.connected() as connection:
        body = owner.request(server.client.offer(), key).to_bytes()
        idle.connect()
        connection.putrequest("POST", RELEASE_PATH)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:100])
        server.client.offer()  # by now the server has the other's beginning
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        while listening(server.port):
            time.sleep(0.02)
        connection.send(body[100:])
        answer = connection.getresponse()
        assert (answer.status, b"ciphertext" in answer.read()) == (200, True)
        assert server.ended(signal.SIGTERM) == (0, "")
        assert server.lines[-1].endswith(" stopped")
        assert time.monotonic() - begun < 20  # it does not wait for the idle one


def test_what_cannot_be_served_is_one_line(lpe, make_owner, certificate, tmp_path):
    owner = make_owner(tmp_path)
    other = make_certificate(tmp_path, "other")
    locked = make_certificate(tmp_path, "locked", b"secret words")

    def tried(*more: object) -> object:
        return lpe(*serving(owner, certificate, *more))

    refused(tried("--private-key", other.key), other.key, "no certificate with its key", code=2)
    refused(tried("--certificate", locked.path, "--private-key", locked.key), "without a password", code=2)
    refused(tried("--certificate", tmp_path / "none.pem"), "none.pem", "No such file", code=2)
    refused(tried("--private-key", tmp_path / "none.key"), "none.key", "No such file", code=2)
    refused(tried("--valid", "31d"), "31d", code=2)
    refused(tried("--policy", tmp_path / "none.toml"), "none.toml: no such file")
    refused(tried("--dataset", tmp_path / "none"), "none")
    refused(tried("--host", "host.invalid"), "host.invalid", "cannot be listened at", code=2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(tried("--port", port), f"127.0.0.1:{port}: cannot be listened at", "--port", code=2)


def test_without_its_libraries_the_command_names_their_extra(lpe, served_owner, certificate, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    refused(lpe(*serving(served_owner, certificate)), "uvicorn", "extra serve: pip install", code=2)


def test_a_policy_that_vanishes_is_no_program_s_matter(make_owner, certificate, tmp_path, program):
    owner = make_owner(tmp_path)
    with served(owner, certificate) as server:
        request = owner.request(server.client.offer(), program)
        Path(owner.policy).unlink()
        Path(owner.policy).mkdir()
        with pytest.raises(AttestationError, match="the owner's key store cannot be used now") as error:
            server.client.release(request)
        assert owner.policy not in str(error.value)
        server.line(f"release to 127.0.0.1 failed: {owner.policy}")
        Path(owner.policy).rmdir()
        with pytest.raises(AttestationError, match="cannot be used now") as error:
            server.client.offer()
        server.line(f"offer to 127.0.0.1 failed: {owner.policy}: no such file")
