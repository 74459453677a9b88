"""Key-encryption keys in Google Cloud KMS."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

import google.auth.exceptions
import requests
from google.api_core import exceptions, retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import kms_v1
from tink.integration import gcpkms

from lpe.pipeline.keystore import kek_service
from lpe.pipeline.keystore.kek_service import LATER, TRIES, Kek, on_this_machine
from lpe.transforms.errors import KeyStoreError, one_line

_ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"  # gcloud's own name for it


def connect(uri: str) -> Kek:
    """The key with this URI, see `Service.module`. Raises what the client raises."""
    endpoint = os.environ.get(_ENDPOINT, "").rstrip("/")
    local = on_this_machine(urlsplit(endpoint).hostname or "")
    if urlsplit(endpoint).scheme == "http" and not local:
        raise KeyStoreError(f"{_ENDPOINT}={endpoint} would send keys in clear; name it with https")
    client = kms_v1.KeyManagementServiceClient(
        transport="rest",  # unlike gRPC's, its errors tell bad credentials from a bad network
        # None are the application-default ones; a stub or emulator asks for none.
        credentials=AnonymousCredentials() if local else None,  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": endpoint} if endpoint else None,
    )
    kek: Kek = gcpkms.new_client(kms_v1_client=_Bounded(client), key_uri=uri).get_aead(uri)
    return kek


class _Bounded:
    """Google's client with our patience: its own is a minute, and Tink has no way to say otherwise."""

    def __init__(self, client: Any) -> None:

        self._client = client
        passing = retry.if_exception_type(exceptions.ServiceUnavailable, exceptions.DeadlineExceeded)
        limit = kek_service.SECONDS * TRIES
        self._patience = {
            "timeout": kek_service.SECONDS,
            "retry": retry.Retry(predicate=passing, initial=0.2, maximum=1.0, timeout=limit),
        }

    def encrypt(self, request: dict[str, Any]) -> Any:
        return self._client.encrypt(request=request, **self._patience)

    def decrypt(self, request: dict[str, Any]) -> Any:
        return self._client.decrypt(request=request, **self._patience)


def explain(error: Exception) -> str | None:
    """The meaning of an error of the client, see `Service.module`."""
    detail = re.sub(r"^(\d+ )?(POST \S+: )?", "", one_line(error))  # what goes before is the request
    if isinstance(error, google.auth.exceptions.DefaultCredentialsError):
        return (
            f"no credentials ({detail}); run gcloud auth application-default login, set "
            "GOOGLE_APPLICATION_CREDENTIALS, or give the machine a service account"
        )
    if isinstance(error, google.auth.exceptions.GoogleAuthError) and not isinstance(
        error, google.auth.exceptions.TransportError
    ):
        return f"Google does not accept the credentials ({detail}); renew them"
    if isinstance(error, exceptions.Unauthenticated | exceptions.Unauthorized):
        return f"Google does not accept the credentials ({detail}); renew them"
    if isinstance(error, exceptions.Forbidden):
        return f"no permission ({detail}); grant roles/cloudkms.cryptoKeyEncrypterDecrypter on the key"
    if isinstance(error, exceptions.NotFound):
        return "Google Cloud KMS has no such key; check its project, location, key ring and name"
    if isinstance(error, exceptions.FailedPrecondition) or "not enabled" in str(error):
        # REST answers 400 without the status' name.
        return (
            f"this key, or the version that is needed, is not enabled ({detail}); enable it "
            "(gcloud kms keys versions enable), or restore it first if it is to be destroyed"
        )
    if isinstance(error, exceptions.BadRequest):
        return None
    unreachable = (
        exceptions.RetryError,
        exceptions.ServiceUnavailable,
        exceptions.GatewayTimeout,
        google.auth.exceptions.TransportError,
        requests.RequestException,
    )
    if isinstance(error, unreachable):
        return (
            f"Google Cloud KMS cannot be reached ({type(error).__name__}); check the network and {_ENDPOINT}"
        )
    if isinstance(error, exceptions.ServerError | exceptions.TooManyRequests):
        return f"Google Cloud KMS fails at the moment ({detail}); {LATER}"
    return f"Google's client cannot be used ({detail}); check its configuration and {_ENDPOINT}"
