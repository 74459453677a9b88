"""The program of the confidential container: gets the data key, trains in memory, seals the model.

    LPE_DATA             the sealed dataset, gs://…
    LPE_OUTPUT           the file that the model becomes, sealed to the owner, gs://…/model.sealed
    LPE_OWNER            the owner's `lpe keys serve`, https://HOST:PORT
    LPE_OWNER_CERTIFICATES  PEM text of the certificates that it is known by
    LPE_IDENTITY         the provider of a workload identity pool that buckets trust; empty: the machine's own account
    LPE_MODEL            the network, cnn where nothing is given
    LPE_EPOCHS           how often it sees the images, 10 where nothing is given

These are the operator's. Whom they name as owner does no harm: the owner's service decides on the release and encrypts
it to a key that only this attested program has; a false one can send only a useless key, which opens no image.
LPE_PROVIDER is the image's own, since `command:` in an operator's hands would run their code under our digest.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - meant: a tmpfs is the only place that this program writes to
TOKEN = "/run/container_launcher/attestation_verifier_claims_token"  # noqa: S105 - a path, which the launcher renews

_PEM = r"\s*(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+"
_POOL = r"//iam\.googleapis\.com/projects/\d+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+"
VARIABLES = {
    "LPE_DATA": (r"(gs|s3)://[^/\s]+/\S+|/\S+", "a dataset in a bucket, gs://…, or an absolute path", None),
    "LPE_OUTPUT": (r"(gs|s3)://[^/\s]+/\S*[^/\s]|/\S*[^/\s]", "a file in a bucket, gs://…", None),
    "LPE_OWNER": (r"https://[A-Za-z0-9.-]+(:\d{1,5})?/?", "https://HOST:PORT", None),
    "LPE_OWNER_CERTIFICATES": (_PEM, "certificates as PEM text", None),
    "LPE_IDENTITY": (rf"({_POOL})?", "//iam.googleapis.com/projects/…/providers/…", ""),
    "LPE_MODEL": (r"[a-z][a-z0-9_-]*", "the name of a network", "cnn"),
    "LPE_EPOCHS": (r"[1-9]\d{0,3}", "a number from 1 to 9999", "10"),
}
"""For each of the operator's variables: what matches it, how to say that, and what it is where nothing is given."""


class VariableError(Exception):
    """A variable that is missing or makes no sense; the message is one line and names it."""


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The operator's variables, checked. A value is not repeated in an error: it may be in the wrong variable."""
    found = {name: environment.get(name, default) for name, (_, _, default) in VARIABLES.items()}
    for name, (pattern, meaning, _) in VARIABLES.items():
        if (value := found[name]) is None or not re.fullmatch(pattern, value):
            raise VariableError(f"{name} {'is not set; it ' if value is None else ''}must be {meaning}")
    return {name: value for name, value in found.items() if value is not None}


def credentials(pool: str) -> dict[str, object]:
    """What Google's libraries need to come as the attested program: the launcher's token, exchanged at the pool."""
    kind, service = "urn:ietf:params:oauth:token-type:jwt", "https://sts.googleapis.com/v1/token"
    pooled = {"type": "external_account", "audience": pool, "subject_token_type": kind, "token_url": service}
    return pooled | {"credential_source": {"file": TOKEN}}


def train(given: Mapping[str, str], provider: str, memory: Path) -> object:
    """Attests, trains, and writes the sealed model; returns what may be printed."""
    import lpe  # noqa: PLC0415 - what is wrong with the variables is said before TensorFlow is loaded

    (memory / "owner.pem").write_text(given["LPE_OWNER_CERTIFICATES"])
    owner = lpe.OwnerService(given["LPE_OWNER"], str(memory / "owner.pem"))
    released = lpe.attest_to(owner, provider)
    spec = lpe.TrainSpec(
        data=given["LPE_DATA"],
        output="run",  # not used: the run directory is made in memory too
        model=given["LPE_MODEL"],
        epochs=int(given["LPE_EPOCHS"]),
        cache=str(memory / "cache"),
    )
    return lpe.train_released(spec, released, given["LPE_OUTPUT"]).to_json()


def main(memory: Path = MEMORY) -> int:
    """Prints one line of JSON, and returns the exit code: 0, 1 where it failed, 2 for a wrong variable."""
    try:
        given = settings(os.environ)
    except VariableError as error:
        print(json.dumps({"status": "error", "error": str(error)}))
        return 2
    if given["LPE_IDENTITY"]:
        (memory / "google.json").write_text(json.dumps(credentials(given["LPE_IDENTITY"])))
        os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(memory / "google.json")
    try:
        result = train(given, os.environ.get("LPE_PROVIDER", "confidential-space"), memory)
    except Exception as error:  # the last words are a line whatever it was, and no traceback with values
        print(json.dumps({"status": "error", "error": f"{type(error).__name__}: {error}".splitlines()[0]}))
        return 1
    print(json.dumps({"status": "ok", "result": result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
