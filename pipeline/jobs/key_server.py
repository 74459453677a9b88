"""keys serve: offers and releases of a data key over HTTPS, for a program that restarts."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import signal
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lpe.pipeline import clock, storage
from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.owner_service import OFFER_PATH, RELEASE_PATH
from lpe.pipeline.attestation.policy import PolicyFile, read_policy
from lpe.pipeline.jobs.releasing import offer_data_key, release_data_key
from lpe.transforms.errors import AttestationError, DataError, LpeError, UsageError, one_line
from lpe.transforms.extras import require

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import Response

_MINUTE = 60.0  # seconds
_STOPPING_SECONDS = 30
_READING_SECONDS = 20
_MOST_CONNECTIONS = 64


@dataclasses.dataclass(frozen=True)
class ServeSpec:
    """What is served, and where.

    Attributes:
      dataset: the sealed dataset's home or version directory.
      keystore: the key store's URI.
      name: the keyset that the dataset is encrypted under.
      policy: the path of its policy.
      certificate, private_key: PEM files of the server's certificate and its key.
      host, port: where it listens; 0 for any free port.
      valid: how long an offer stands.
      most_per_minute: requests and offers that are answered in any minute.
    """

    dataset: str
    keystore: str
    name: str
    policy: str
    certificate: str
    private_key: str
    host: str = "127.0.0.1"
    port: int = 8443
    valid: str = "10m"
    most_per_minute: int = 30


def serve_data_key(spec: ServeSpec, say: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM; what is being answered then is answered first.

    Args:
      spec: what, and where.
      say: is given a line when it listens, for each decision, and when it stops.

    Raises:
      AttestationError: the policy is damaged, or of another dataset.
      DataError, KeyStoreError: the dataset or its key cannot be had.
      UsageError: the extra `serve` is not installed, the certificate cannot be used, or the address is taken.
    """
    require("uvicorn", "serve")
    # One offer that nobody gets: what is wrong with dataset, key or policy shows before a program asks.
    offer_data_key(spec.dataset, spec.keystore, spec.name, read_policy(spec.policy), spec.valid)
    _check_certificate(spec)
    # These import uvicorn.
    from uvicorn import Config  # noqa: PLC0415

    from lpe.pipeline.jobs.announced_server import AnnouncedServer  # noqa: PLC0415
    from lpe.pipeline.jobs.bounded_connection import BoundedConnection  # noqa: PLC0415

    config = Config(
        application(spec, say),
        host=spec.host,
        port=spec.port,
        ssl_certfile=spec.certificate,
        ssl_keyfile=spec.private_key,
        http=BoundedConnection,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_STOPPING_SECONDS,
    )
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)

    def listening(host: str, port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        say(f"{clock.stamp()} serving the data key of {spec.dataset} at https://{shown}:{port}")

    _run(AnnouncedServer(config, listening), spec, say)


def application(spec: ServeSpec, say: Callable[[str], None]) -> Any:
    """The service as an ASGI application: two addresses to POST to, each for one document."""
    applications = require("starlette.applications", "serve")
    routing = require("starlette.routing", "serve")
    service = _Service(spec, say)
    routes = [
        routing.Route(OFFER_PATH, service.offer, methods=["POST"]),
        routing.Route(RELEASE_PATH, service.release, methods=["POST"]),
    ]
    served = applications.Starlette(routes=routes)
    served.router.redirect_slashes = False  # to a host that whoever asks may name
    return served


class _Service:
    """The answers, one at a time."""

    def __init__(self, spec: ServeSpec, say: Callable[[str], None]) -> None:
        self._spec = spec
        self._say = say
        self._one = threading.Lock()
        self._answered: deque[float] = deque()

    async def offer(self, request: Request) -> Response:
        return await self._answer(request, "offer", self._offer)

    async def release(self, request: Request) -> Response:
        return await self._answer(request, "release", self._release)

    async def _answer(
        self, request: Request, what: str, work: Callable[[bytes], tuple[bytes, str]]
    ) -> Response:
        concurrency = require("starlette.concurrency", "serve")
        who = request.client.host if request.client is not None else "somebody"
        if not self._has_room():
            return self._refused(429, f"{what} to {who}", "asked too often; wait a minute")
        try:
            body = await _body(request)
            content, line = await concurrency.run_in_threadpool(self._alone, work, body)
        except AttestationError as error:
            return self._refused(403, f"{what} to {who}", one_line(error))
        except (LpeError, OSError) as error:  # of the owner's own files, of which the program need not know
            found = storage.explain(error) if isinstance(error, OSError) else error
            self._tell(f"{what} to {who} failed: {one_line(found)}")
            return _response(503, documents.to_bytes({"error": "the owner's key store cannot be used now"}))
        self._tell(f"{what} to {who}: {line}")
        return _response(200, content)

    def _alone(self, work: Callable[[bytes], tuple[bytes, str]], body: bytes) -> tuple[bytes, str]:
        with self._one:
            return work(body)

    def _offer(self, body: bytes) -> tuple[bytes, str]:
        spec = self._spec
        offer = offer_data_key(spec.dataset, spec.keystore, spec.name, self._policy(), spec.valid)
        return offer.to_bytes(), f"nonce {offer.nonce[:16]}…, until {offer.expires}"

    def _release(self, body: bytes) -> tuple[bytes, str]:
        spec = self._spec
        self._policy()
        release, released = release_data_key(body, spec.policy, spec.keystore, spec.name)
        return release.to_bytes(), f"data key of {released.dataset} to {released.image_digest}"

    def _policy(self) -> PolicyFile:
        """The policy as it is now. Raises DataError, of which no program hears, if it is damaged."""
        try:
            return read_policy(self._spec.policy)
        except AttestationError as error:
            raise DataError(str(error)) from error

    def _refused(self, status: int, what: str, reason: str) -> Response:
        self._tell(f"{what} refused: {reason}")
        return _response(status, documents.to_bytes({"error": reason}))

    def _tell(self, line: str) -> None:
        self._say(f"{clock.stamp()} {line}")

    def _has_room(self) -> bool:
        """Whether another answer may be given in this minute."""
        now = time.monotonic()
        while self._answered and self._answered[0] <= now - _MINUTE:
            self._answered.popleft()
        if len(self._answered) >= self._spec.most_per_minute:
            return False
        self._answered.append(now)
        return True


async def _body(request: Request) -> bytes:
    """What was sent, as far as it may be a document. Raises AttestationError if it is longer, or comes too slowly."""
    anyio = require("anyio", "serve")
    parts, size = [], 0
    with anyio.move_on_after(_READING_SECONDS) as reading:
        async for part in request.stream():
            size += len(part)
            if size > documents.MOST_BYTES:
                raise AttestationError(f"longer than {documents.MOST_BYTES >> 10} KiB")
            parts.append(part)
    if reading.cancelled_caught:
        raise AttestationError(f"did not come within {_READING_SECONDS} seconds")
    return b"".join(parts)


def _response(status: int, content: bytes) -> Response:
    responses = require("starlette.responses", "serve")
    ends = {"Connection": "close"}  # a program asks once; and no client then keeps a server from stopping
    response: Response = responses.Response(content, status, ends, media_type="application/json")
    return response


def _check_certificate(spec: ServeSpec) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            spec.certificate, spec.private_key, lambda: ""
        )
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"{spec.certificate}, {spec.private_key}: no certificate with its key, without a password, as PEM files "
            f"({one_line(error, 100)})"
        ) from error


def _run(server: uvicorn.Server, spec: ServeSpec, say: Callable[[str], None]) -> None:
    """Runs the server until it is stopped."""
    # uvicorn raises the signal again that stopped it, once it has stopped: here that is no failure.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: None)
    try:
        with contextlib.suppress(SystemExit):  # what it raises where it cannot listen
            server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not server.started:
        raise UsageError(f"{spec.host}:{spec.port}: cannot be listened at; choose another --host or --port")
    say(f"{clock.stamp()} stopped")
