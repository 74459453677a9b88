"""The release policy of a dataset: what a program and its machine must be to be given the data key."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import re
import tomllib
from typing import Any

from lpe.pipeline import clock, storage
from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.evidence import DEBUG_OFF, Evidence
from lpe.pipeline.attestation.services import SERVICES, Service
from lpe.pipeline.attestation.trust import Trust
from lpe.pipeline.dataset.checksummed import DIGEST
from lpe.pipeline.dataset.layout import NAME, VERSION
from lpe.pipeline.storage.documents import Fields, is_plain_text
from lpe.transforms.errors import AttestationError, UsageError, did_you_mean

IMAGE_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
FORMAT_VERSION = 1
MOST_AGE = datetime.timedelta(days=1)
"""The oldest token that a policy may allow."""
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MOST_TEXT = 500
"""The longest issuer or audience."""
_MOST_BYTES = 256 << 10
_REMEDY = "write it again with lpe keys policy"
_LONG = datetime.timedelta(hours=1)


@dataclasses.dataclass(frozen=True)
class DatasetRef:
    """A version of a sealed dataset, as documents that leave the owner name it.

    Attributes:
      salt: its id, 64 hex digits.
      name, version: what people call it.
    """

    salt: str
    name: str
    version: str

    def to_json(self) -> dict[str, str]:
        """The part of a document that names the dataset."""
        return {"id": self.salt, "name": self.name, "version": self.version}

    @classmethod
    def from_fields(cls, fields: Fields) -> DatasetRef:
        """Reads what `to_json` gives."""
        fields.only("id", "name", "version")
        return cls(fields.text("id", DIGEST), fields.text("name", NAME), fields.text("version", VERSION))

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclasses.dataclass(frozen=True)
class ReleasePolicy:
    """What a program and its machine must be to be given a dataset's data key.

    Attributes:
      dataset: which dataset.
      service: whose tokens are believed: a name of `services.SERVICES`.
      issuer: the `iss` of its tokens; for Trustee the developer of its `ear_verifier_id`.
      trust: the keys or root certificates that it signs with.
      audience: whom tokens must be for: a name of the owner's, such as the URL of `lpe keys serve`.
      image_digests: the programs that may have the key, `sha256:` and 64 hex digits each.
      hardware: the technologies that may keep the machine's memory confidential, as the service names them.
      support_attributes: what the service must say of its own image, all of it.
      confidential_gpu: whether the GPU must be confidential too.
      max_age: how old a token may be, e.g. `10m`; at most a day.

    Raises:
      UsageError: a value is unknown, out of range, or contradicts another.
    """

    dataset: DatasetRef
    service: str
    issuer: str
    trust: Trust
    audience: str
    image_digests: tuple[str, ...]
    hardware: tuple[str, ...]
    support_attributes: tuple[str, ...] = ()
    confidential_gpu: bool = False
    max_age: str = "10m"

    def __post_init__(self) -> None:
        if self.service not in SERVICES:
            known = ", ".join(SERVICES)
            raise UsageError(
                f"no attestation service {self.service[:60]!a}; there are {known}{did_you_mean(self.service, SERVICES)}"
            )
        for what, text in (("issuer", self.issuer), ("audience", self.audience)):
            if not 1 <= len(text) <= MOST_TEXT or not is_plain_text(text):
                raise UsageError(f"the {what} must be a text of 1 to {MOST_TEXT} characters on one line")
        if not self.image_digests or not self.hardware:
            raise UsageError("a policy names at least one image digest and one kind of hardware")
        for digest in self.image_digests:
            if not IMAGE_DIGEST.fullmatch(digest):
                raise UsageError(f"image digest {digest[:100]!a}: give sha256: and 64 hex digits, not a tag")
        service = self.attested_by
        for word in (*self.hardware, *self.support_attributes):
            if not _WORD.fullmatch(word):
                raise UsageError(
                    f"{word[:100]!a} is no kind of hardware and no support attribute; {service.title} has "
                    f"{', '.join((*service.hardware, *service.support_attributes))}"
                )
        if self.confidential_gpu and not service.attests_gpu:
            raise UsageError(f"tokens of {service.title} say nothing of a GPU; leave out the demand on it")
        if not datetime.timedelta(0) < self.longest <= MOST_AGE:
            raise UsageError(f"a token may be 1s to 24h old, not {self.max_age}")

    @property
    def attested_by(self) -> Service:
        """The service."""
        return SERVICES[self.service]

    @property
    def longest(self) -> datetime.timedelta:
        """How old a token may be."""
        return clock.parse_period(self.max_age)

    def shortfall(self, evidence: Evidence) -> str | None:
        """What an attested program or its machine lacks, as the first line of a refusal; None for nothing."""
        if evidence.image_digest not in self.image_digests:
            return f"image digest {evidence.image_digest[:80]} is not in the policy"
        if evidence.hardware not in self.hardware:
            return f"hardware {evidence.hardware[:80]} is not in the policy"
        if evidence.debug != DEBUG_OFF:
            return f"debugging is {evidence.debug[:80]}, not {DEBUG_OFF}: its operator can look into a debug image"
        missing = [word for word in self.support_attributes if word not in evidence.support_attributes]
        if missing:
            return f"support attribute {missing[0]} is missing"
        if self.confidential_gpu and not evidence.confidential_gpu:
            return "the GPU is not in confidential mode"
        return None

    def warnings(self) -> tuple[str, ...]:
        """What may be more than the owner meant, or soon too little; a line each."""
        service, found = self.attested_by, []
        unknown = [word for word in self.hardware if word not in service.hardware]
        if unknown:
            found.append(
                f"{unknown[0]} is not known to keep memory confidential ({service.title} has "
                f"{', '.join(service.hardware)})"
            )
        if service.support_attributes and not self.support_attributes:
            found.append(
                f"any state of the service's own image will do; demand {service.support_attributes[-1]} or another"
            )
        if service.attests_gpu and not self.confidential_gpu:
            found.append(
                "a GPU need not be confidential: on one, images would lie in memory that is not attested"
            )
        if self.longest > _LONG:
            found.append(f"a token of {self.max_age} ago will do; a program needs minutes")
        if len(self.image_digests) > 1:
            found.append(
                f"{len(self.image_digests)} programs may have the key: drop those that are out of use"
            )
        return (*found, *self.trust.warnings())

    def properties(self) -> dict[str, str]:
        """The policy in words: rows of a table."""
        service = self.attested_by
        return {
            "dataset": f"{self.dataset} ({self.dataset.salt[:16]}…)",
            "believed": f"tokens of {service.title}, issuer {self.issuer}",
            "signed by": self.trust.described(),
            "addressed to": self.audience,
            "program": f"by the digest of {service.digest_of}:\n" + " or\n".join(self.image_digests),
            "hardware": " or ".join(self.hardware),
            "debugging": DEBUG_OFF,
            "the service's image": " and ".join(self.support_attributes) or "any",
            "GPU": "confidential" if self.confidential_gpu else "any, or none",
            "age of a token": f"at most {clock.in_words(self.longest)}",
        }

    def to_toml(self) -> str:
        """The content of a policy file."""
        dataset = self.dataset
        return f"""\
# Who is given the data key of {dataset}: made by lpe keys policy, explained by lpe keys policy --explain.
# An offer is bound to this file as it is: after a change make a new one.
format_version = {FORMAT_VERSION}

[dataset]
id = {_quoted(dataset.salt)}
name = {_quoted(dataset.name)}
version = {_quoted(dataset.version)}

[token]
service = {_quoted(self.service)}
issuer = {_quoted(self.issuer)}
audience = {_quoted(self.audience)}
max_age = {_quoted(self.max_age)}
{self.trust.to_toml()}
[program]
image_digests = {_quoted_list(self.image_digests)}

[machine]
hardware = {_quoted_list(self.hardware)}
debug = {_quoted(DEBUG_OFF)}
support_attributes = {_quoted_list(self.support_attributes)}
confidential_gpu = {"true" if self.confidential_gpu else "false"}
"""


@dataclasses.dataclass(frozen=True)
class PolicyFile:
    """A policy as it was read from its file.

    Attributes:
      path: the file.
      policy: what it says.
      sha256: SHA-256 (hex) of its bytes, to which offers and releases are bound.
    """

    path: str
    policy: ReleasePolicy
    sha256: str

    def properties(self) -> dict[str, str]:
        """Rows of a table."""
        return {"policy": self.path, **self.policy.properties(), "SHA-256": self.sha256}

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is the command's."""
        policy = self.policy
        return {
            "policy": self.path,
            "sha256": self.sha256,
            "dataset": policy.dataset.to_json(),
            "service": policy.service,
            "issuer": policy.issuer,
            "audience": policy.audience,
            "image_digests": list(policy.image_digests),
            "hardware": list(policy.hardware),
            "support_attributes": list(policy.support_attributes),
            "confidential_gpu": policy.confidential_gpu,
            "max_age": policy.max_age,
            "warnings": list(policy.warnings()),
        }


def write_policy(policy: ReleasePolicy, path: str) -> PolicyFile:
    """Writes a policy to a new file, and reads it back.

    Raises:
      UsageError: the file exists.
    """
    documents.check_new(path)
    storage.write_atomic(path, policy.to_toml().encode())
    return read_policy(path)


def read_policy(path: str) -> PolicyFile:
    """Reads a policy.

    Raises:
      AttestationError: there is none, or it is damaged or says what cannot be.
    """
    content = documents.read(path, _REMEDY, _MOST_BYTES)
    fields = Fields({}, path, _REMEDY, AttestationError)
    try:
        value = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        fields.refuse(f"no TOML: {str(error)[:100]!a}")
    try:
        policy = _policy_of(Fields(value, path, _REMEDY, AttestationError))
    except UsageError as error:
        raise AttestationError(f"{path}: {error}") from error
    return PolicyFile(path, policy, hashlib.sha256(content).hexdigest())


def _policy_of(fields: Fields) -> ReleasePolicy:
    fields.only("format_version", "dataset", "token", "program", "machine")
    fields.integer("format_version", FORMAT_VERSION, FORMAT_VERSION)
    token, program, machine = (fields.object(name) for name in ("token", "program", "machine"))
    token.only("service", "issuer", "audience", "max_age", "keys", "roots")
    program.only("image_digests")
    machine.only("hardware", "debug", "support_attributes", "confidential_gpu")
    if machine.text("debug") != DEBUG_OFF:
        machine.refuse(f"debug can only be {DEBUG_OFF!r}: the operator of another machine can read the key")
    return ReleasePolicy(
        dataset=DatasetRef.from_fields(fields.object("dataset")),
        service=token.text("service"),
        issuer=token.text("issuer"),
        trust=Trust.from_fields(token),
        audience=token.text("audience"),
        image_digests=program.texts("image_digests"),
        hardware=machine.texts("hardware"),
        support_attributes=machine.texts("support_attributes"),
        confidential_gpu=machine.boolean("confidential_gpu"),
        max_age=token.text("max_age"),
    )


def _quoted(text: str) -> str:
    # A basic string of TOML is one of JSON, where nothing beyond the first plane is escaped in halves.
    return json.dumps(text, ensure_ascii=False)


def _quoted_list(texts: tuple[str, ...]) -> str:
    if len(texts) < 2:
        return f"[{', '.join(map(_quoted, texts))}]"
    return "[\n" + "".join(f"  {_quoted(text)},\n" for text in texts) + "]"
