"""lpe keys policy, offer, release, serve, and lpe attest: a data key given to a program that proves what it is."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import lpe
from lpe.pipeline import storage
from lpe.pipeline.attestation import documents
from lpe.pipeline.cli.commands import Command
from lpe.pipeline.cli.console import Report, properties_table
from lpe.pipeline.cli.examples import epilog
from lpe.pipeline.cli.keys import NAME, app
from lpe.pipeline.cli.options import EXECUTION, JSON, KEYSTORE, SEALED, SEALED_HELP, dataset_path
from lpe.transforms.errors import UsageError

_MACHINE = "Program and machine"
_TRUST = "Attestation service"

POLICY = Annotated[str, typer.Option(metavar="FILE", help="The policy, of lpe keys policy.")]
VALID = Annotated[str, typer.Option(metavar="PERIOD", help="How long an offer stands, e.g. 1h; 30d at most.")]


@app.command("policy", cls=Command, epilog=epilog("keys policy"))
def policy(
    explain: Annotated[
        str | None, typer.Option(metavar="FILE", help="Check this policy and say what it means.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="DATASET", help=SEALED_HELP),
    ] = None,
    output: Annotated[str | None, typer.Option(metavar="FILE", help="The policy to write, TOML.")] = None,
    service: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Whose tokens are believed: confidential-space, azure or trustee.",
            rich_help_panel=_TRUST,
        ),
    ] = "confidential-space",
    issuer: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The iss of its tokens (Trustee: its developer).", rich_help_panel=_TRUST
        ),
    ] = "https://confidentialcomputing.googleapis.com",
    audience: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Whom tokens must be for: a name of yours, e.g. a URL.",
            rich_help_panel=_TRUST,
        ),
    ] = None,
    jwks: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Pin the service's keys: its JWKS, fetched by you.", rich_help_panel=_TRUST
        ),
    ] = None,
    roots: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Or pin the root certificate that its x5c chains lead to, PEM.",
            rich_help_panel=_TRUST,
        ),
    ] = None,
    max_age: Annotated[
        str,
        typer.Option(metavar="PERIOD", help="How old a token may be; 24h at most.", rich_help_panel=_TRUST),
    ] = "10m",
    image_digest: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIGEST",
            help="A program that may have the key: sha256: and 64 hex digits, of its image. May be repeated.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    hardware: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What may keep the machine's memory confidential, e.g. GCP_INTEL_TDX. May be repeated.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    support: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What the service must say of its own image, e.g. STABLE. May be repeated.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    confidential_gpu: Annotated[
        bool,
        typer.Option(
            "--confidential-gpu", help="The GPU must be in confidential mode.", rich_help_panel=_MACHINE
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Write, or explain, what a program must be to be given a dataset's data key."""
    report = Report("keys policy", as_json=as_json)
    if explain is not None:
        if dataset is not None or output is not None:
            raise UsageError("--explain reads a policy; leave out --dataset and --output")
        file = lpe.read_policy(explain)
    else:
        if dataset is None or output is None or audience is None:
            raise UsageError(
                "a policy needs --dataset, --output and --audience (or --explain FILE, to read one)"
            )
        made = lpe.ReleasePolicy(
            dataset=lpe.sealed_dataset(dataset_path(dataset, "--dataset")),
            service=service,
            issuer=issuer,
            trust=lpe.read_trust(jwks, roots),
            audience=audience,
            image_digests=tuple(image_digest or ()),
            hardware=tuple(hardware or ()),
            support_attributes=tuple(support or ()),
            confidential_gpu=confidential_gpu,
            max_age=max_age,
        )
        file = lpe.write_policy(made, output)
    lines = tuple(f"warning: {warning}" for warning in file.policy.warnings())
    report.result(file.to_json(), properties_table("keys policy", file.properties()), lines=lines)


@app.command("offer", cls=Command, epilog=epilog("keys offer"))
def offer(
    name: NAME,
    keystore: KEYSTORE,
    dataset: SEALED,
    policy: POLICY,
    output: Annotated[str, typer.Option(metavar="FILE", help="The offer to write; no secret.")],
    valid: VALID = "1h",
    as_json: JSON = False,
) -> None:
    """Offer a sealed dataset's data key to a program that the policy describes."""
    report = Report("keys offer", as_json=as_json)
    documents.check_new(output)
    path = dataset_path(dataset, "--dataset")
    made = lpe.offer_data_key(path, keystore, name, lpe.read_policy(policy), valid)
    storage.write_atomic(output, made.to_bytes())
    properties = {"dataset": str(made.dataset), "nonce": made.nonce, "until": made.expires, "offer": output}
    value = {"dataset": made.dataset.to_json(), "nonce": made.nonce, "expires": made.expires, "offer": output}
    report.result(value, properties_table("keys offer", properties))


@app.command("release", cls=Command, epilog=epilog("keys release"))
def release(
    name: NAME,
    request: Annotated[str, typer.Argument(help="The request that the program made, of lpe attest.")],
    keystore: KEYSTORE,
    policy: POLICY,
    output: Annotated[
        str, typer.Option(metavar="FILE", help="The release to write: for that program alone.")
    ],
    as_json: JSON = False,
) -> None:
    """Check a request by the policy, offline, and release the data key to that program; once an offer."""
    report = Report("keys release", as_json=as_json)
    released = lpe.release_to_file(request, policy, keystore, name, output)
    report.result(released.to_json(), properties_table("keys release", released.properties()))


@app.command("serve", cls=Command, epilog=epilog("keys serve"))
def serve(
    name: NAME,
    keystore: KEYSTORE,
    dataset: SEALED,
    policy: POLICY,
    certificate: Annotated[
        str, typer.Option(metavar="FILE", help="The server's certificate, and its chain, PEM.")
    ],
    private_key: Annotated[str, typer.Option(metavar="FILE", help="The key of that certificate, PEM.")],
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The address to listen at.", rich_help_panel=EXECUTION)
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="0 for any that is free.", rich_help_panel=EXECUTION
        ),
    ] = 8443,
    valid: VALID = "10m",
    most_per_minute: Annotated[
        int,
        typer.Option(
            min=1, max=10_000, metavar="N", help="Answers in any minute.", rich_help_panel=EXECUTION
        ),
    ] = 30,
) -> None:
    """Offer and release a data key over HTTPS, for programs that restart; one line a decision, until it is stopped."""
    spec = lpe.ServeSpec(
        dataset=dataset_path(dataset, "--dataset"),
        keystore=keystore,
        name=name,
        policy=policy,
        certificate=certificate,
        private_key=private_key,
        host=host,
        port=port,
        valid=valid,
        most_per_minute=most_per_minute,
    )
    lpe.serve_data_key(spec, _say)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def attest(
    offer: Annotated[str, typer.Option(metavar="FILE", help="The owner's offer, of lpe keys offer.")],
    output: Annotated[str, typer.Option(metavar="FILE", help="The request to write; no secret.")],
    provider: Annotated[
        str,
        typer.Option(
            "--token",
            metavar="PROVIDER",
            help="Who gives the token: confidential-space (its local socket), command:PROGRAM (reads audience and "
            "nonces as JSON, prints a token) or file:PATH.",
        ),
    ] = "confidential-space",
    identity: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The private key, on a tmpfs. \\[default: a file of its own in /dev/shm/lpe-UID]",
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Prove to a dataset's owner, from within a confidential machine, which program asks for its data key."""
    report = Report("attest", as_json=as_json)
    attested = lpe.attest(offer, output, provider, identity)
    report.result(attested.to_json(), properties_table("attest", attested.properties()))
