"""The owner's key server, as a program asks it: over HTTPS, for an offer and then for the release."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import ssl
from urllib.parse import urlsplit

from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.http_post import post
from lpe.pipeline.attestation.offer import Offer
from lpe.pipeline.attestation.release import Release
from lpe.pipeline.attestation.request import Request
from lpe.transforms.errors import AttestationError, BusyError, UsageError, one_line

OFFER_PATH, RELEASE_PATH = "/v1/offer", "/v1/release"
_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class OwnerService:
    """The address of an owner's `lpe keys serve`.

    Attributes:
      url: `https://HOST[:PORT]`.
      certificates: a PEM file of certificates, one of which the server's must lead to; None for those that the system
        trusts.

    Raises:
      UsageError: the URL is of another form.
    """

    url: str
    certificates: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        try:
            valid = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid or "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
            shown = self.url.rpartition("@")[2]  # without a password
            raise UsageError(f"{shown}: give the owner's key server as https://HOST:PORT")

    def offer(self) -> Offer:
        """A new offer. Raises AttestationError if it cannot be had, BusyError if the server is asked too often."""
        return Offer.from_bytes(self._post(OFFER_PATH, b""), f"{self.url}{OFFER_PATH}")

    def release(self, request: Request) -> Release:
        """The release in answer to a request.

        Raises:
          AttestationError: the owner refuses, and says why; or the server cannot be reached.
          BusyError: it is asked too often.
        """
        return Release.from_bytes(self._post(RELEASE_PATH, request.to_bytes()), f"{self.url}{RELEASE_PATH}")

    def _post(self, path: str, body: bytes) -> bytes:
        parts = urlsplit(self.url)
        try:
            context = ssl.create_default_context(cafile=self.certificates)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"{self.certificates}: no PEM certificates ({one_line(error, 100)}); name the owner's"
            ) from error
        connection = http.client.HTTPSConnection(
            str(parts.hostname), parts.port, timeout=_SECONDS, context=context
        )
        try:
            status, content = post(connection, path, body, documents.MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise AttestationError(
                f"{self.url}: the owner's key server does not answer ({one_line(error, 150)}); check the address and "
                "its certificate"
            ) from error
        if status == http.client.TOO_MANY_REQUESTS:
            raise BusyError(f"{self.url}: asked too often; wait a minute")
        if status != http.client.OK:
            raise AttestationError(f"{self.url}: refused: {_reason(content) or status}")
        return content


def _reason(content: bytes) -> str:
    """What the server says of a refusal."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        return one_line(json.loads(content)["error"])
    return ""
