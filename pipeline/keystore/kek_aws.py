"""Key-encryption keys in AWS KMS."""

from __future__ import annotations

import boto3
import botocore.config
from botocore import exceptions
from tink.integration import awskms

from lpe.pipeline.keystore import kek_service
from lpe.pipeline.keystore.kek_service import LATER, TRIES, Kek
from lpe.transforms.errors import one_line

_MOST_BYTES = 4096  # of plaintext, in one Encrypt

_MEANINGS = {
    "NotFoundException": "AWS KMS has no such key; check its ARN, account and region",
    "DisabledException": "this key is disabled; enable it (aws kms enable-key)",
    "KMSInvalidStateException": (
        "this key cannot be used as it is, perhaps because it is to be deleted; aws kms cancel-key-deletion and "
        "aws kms enable-key bring it back"
    ),
    "InvalidKeyUsageException": "this key does not encrypt; name a symmetric key of usage ENCRYPT_DECRYPT",
    "InvalidArnException": "AWS KMS does not understand this ARN; check it",
}
_CIPHERTEXT = {"InvalidCiphertextException", "IncorrectKeyException"}
_CREDENTIALS = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "ExpiredTokenException",
    "ExpiredToken",
}


def connect(uri: str) -> Kek:
    """The key with this URI, see `Service.module`. Raises what the client raises."""
    patience = botocore.config.Config(
        connect_timeout=kek_service.SECONDS,
        read_timeout=kek_service.SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    # The region is the ARN's, whatever the environment says; AWS_ENDPOINT_URL is boto3's to obey.
    client = boto3.session.Session(region_name=uri.split(":")[4]).client("kms", config=patience)
    return _Bounded(awskms.new_client(boto3_client=client, key_uri=uri).get_aead(uri))


class _Bounded:
    """Refuses a keyset that is too large for KMS, with a message that says what to do."""

    def __init__(self, inner: Kek) -> None:
        self._inner = inner

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        if len(plaintext) > _MOST_BYTES:
            raise _TooLargeError
        return self._inner.encrypt(plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        return self._inner.decrypt(ciphertext, associated_data)


class _TooLargeError(Exception):
    """A keyset of more bytes than one Encrypt takes."""


def explain(error: Exception) -> str | None:
    """The meaning of an error of the client, see `Service.module`."""
    if isinstance(error, _TooLargeError):
        return f"AWS KMS wraps at most {_MOST_BYTES:,} bytes, fewer than 40 keys; destroy old ones (lpe keys destroy)"
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return (
            "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or use a role"
        )
    if type(error) is exceptions.HTTPClientError:  # none of its kinds; its text may quote a session token
        return (
            "AWS's client cannot send the request; check the credentials for line ends and stray characters"
        )
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return f"AWS KMS cannot be reached ({one_line(error)}); check the network, the region and AWS_ENDPOINT_URL"
    if not isinstance(error, exceptions.ClientError):
        return f"AWS's client cannot be used ({one_line(error)}); check its configuration"
    code = str(error.response.get("Error", {}).get("Code"))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    detail = one_line(f"{code}: {error.response.get('Error', {}).get('Message', '')}").rstrip(":")
    if code in _CIPHERTEXT:
        return None
    if code in _CREDENTIALS:
        return f"AWS does not accept the credentials ({detail}); renew them"
    if code == "AccessDeniedException" or status in {401, 403}:
        # KMS may answer so for a ciphertext of a key that the caller may not use, too.
        return (
            f"no permission ({detail}); allow this account kms:Encrypt and kms:Decrypt on the key; or else the keyset "
            "is damaged, or was wrapped by another key"
        )
    if status >= 500 or code in {"ThrottlingException", "LimitExceededException"}:
        return f"AWS KMS fails at the moment ({detail}); {LATER}"
    return _MEANINGS.get(code, f"AWS KMS refuses ({detail}); check the key")
