"""lpe keys create, list, rotate, disable, enable, destroy, register, forget, export, log."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lpe
from lpe.pipeline import clock, storage
from lpe.pipeline.cli.commands import Command, Group
from lpe.pipeline.cli.console import Report, properties_table, rows_table
from lpe.pipeline.cli.examples import epilog
from lpe.pipeline.cli.options import JSON, KEYSTORE, SEALED, dataset_name, dataset_path
from lpe.transforms.errors import KeyStoreError

if TYPE_CHECKING:
    from rich.table import Table

    from lpe.pipeline.jobs.keyset_status import KeysetStatus
    from lpe.pipeline.keystore import AuditTrail, KeyInfo

app = typer.Typer(
    cls=Group, help="Make and rotate the keys that datasets are encrypted under.", no_args_is_help=True
)

_VERSIONED = (
    "If the bucket keeps old versions of objects, the keyset's still hold the key, wrapped: delete them."
)

NAME = Annotated[str, typer.Argument(help="The keyset's name.")]
KEY_ID = Annotated[int, typer.Argument(help="The key's id.")]
PERIOD = Annotated[
    str | None,
    typer.Option(
        metavar="PERIOD", help="How old the primary key may become, e.g. 30d; reencrypt --if-due asks."
    ),
]


@app.command(cls=Command, epilog=epilog("keys create"))
def create(
    name: NAME,
    keystore: KEYSTORE,
    kek: Annotated[
        str | None,
        typer.Option(
            metavar="KEK",
            help="The key-encryption key: a file (made if absent), aws-kms://ARN, gcp-kms://projects/…, or "
            "hcvault://HOST/transit/keys/NAME. \\[default: LPE_KEK, else KEYSTORE/kek.json]",
        ),
    ] = None,
    rotation_period: PERIOD = None,
    as_json: JSON = False,
) -> None:
    """Make a keyset with one key."""
    _print_keys("create", name, lpe.KeyStore(keystore).create(name, kek, rotation_period), as_json=as_json)


@app.command("list", cls=Command, epilog=epilog("keys list"))
def list_keys(
    name: NAME,
    keystore: KEYSTORE,
    root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROOT", help="Look for datasets in this folder too: ROOT of ROOT/NAME. May be repeated."
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Show a keyset's keys, their age, what needs them, and what is due."""
    status = lpe.keyset_status(keystore, name, root or [])
    report = Report("keys list", as_json=as_json)
    report.result(status.to_json(), _status_table(status), lines=(_rotation_line(status), *status.due))


def _status_table(status: KeysetStatus) -> Table:
    rows = [
        [
            str(key.id),
            "primary" if key.primary else key.state,
            "unknown" if key.created is None else clock.in_words(_age(key.created)),
            "\n".join(str(use) for use in status.uses.get(key.id, [])) or "nothing recorded",
        ]
        for key in status.keys
    ]
    return rows_table(f"keyset {status.name}", ["key id", "state", "age", "needed by"], rows)


def _age(created: str) -> datetime.timedelta:
    return clock.now() - clock.parse_stamp(created)


def _rotation_line(status: KeysetStatus) -> str:
    if status.rotation_due is None:
        return "No rotation period is set: lpe keys rotate --rotation-period sets one."
    left = status.rotation_due - clock.now()
    when = f"in {clock.in_words(left)}" if left.total_seconds() > 0 else f"since {clock.in_words(-left)}"
    return f"Rotated every {status.rotation_period}, last {status.last_rotation}; due {when}."


@app.command(cls=Command, epilog=epilog("keys rotate"))
def rotate(name: NAME, keystore: KEYSTORE, rotation_period: PERIOD = None, as_json: JSON = False) -> None:
    """Add a key and make it primary; datasets under the old one stay readable."""
    _print_keys("rotate", name, lpe.KeyStore(keystore).rotate(name, rotation_period), as_json=as_json)


@app.command(cls=Command, epilog=epilog("keys disable"))
def disable(name: NAME, key_id: KEY_ID, keystore: KEYSTORE, as_json: JSON = False) -> None:
    """Refuse to use a key until it is enabled again."""
    _print_keys("disable", name, lpe.KeyStore(keystore).disable(name, key_id), as_json=as_json)


@app.command(cls=Command, epilog=epilog("keys enable"))
def enable(name: NAME, key_id: KEY_ID, keystore: KEYSTORE, as_json: JSON = False) -> None:
    """Undo `disable`."""
    _print_keys("enable", name, lpe.KeyStore(keystore).enable(name, key_id), as_json=as_json)


@app.command(cls=Command, epilog=epilog("keys destroy"))
def destroy(
    name: NAME,
    key_id: KEY_ID,
    keystore: KEYSTORE,
    force: Annotated[
        bool, typer.Option("--force", help="Even if a dataset or a trained model still needs it.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Erase a key for good; what is encrypted under it can never be read again."""
    lost = [str(use) for use in lpe.Registry(keystore).lost_with(name).get(key_id, [])]
    if force and lost:
        report = Report("keys destroy", as_json=as_json)
        report.note(f"destroying key {key_id}, and losing what needs it: {', '.join(lost)}")
    keys = lpe.KeyStore(keystore).destroy(name, key_id, force=force)
    lines = (_VERSIONED,) if storage.is_remote(keystore) else ()
    _print_keys("destroy", name, keys, as_json=as_json, lines=lines, lost=lost)


@app.command(cls=Command, epilog=epilog("keys register"))
def register(
    run: Annotated[str, typer.Argument(help="A training run's directory.")],
    keystore: KEYSTORE,
    as_json: JSON = False,
) -> None:
    """Remember that a trained model needs its key, so that the key is kept for predictions."""
    registration = lpe.register_run(run, keystore)
    properties = {"run": run, "needs key": f"{registration.key_name} {registration.key_id}"}
    report = Report("keys register", as_json=as_json)
    report.result(registration.to_json(), properties_table("keys register", properties))


@app.command(cls=Command, epilog=epilog("keys forget"))
def forget(
    name: NAME,
    place: Annotated[str, typer.Argument(help="A dataset version or training run, as `keys list` shows it.")],
    keystore: KEYSTORE,
    as_json: JSON = False,
) -> None:
    """Forget a dataset version or model that is gone or needs its key no more."""
    place = dataset_name(place, "PLACE")
    if not lpe.Registry(keystore).forget(name, place):
        raise KeyStoreError(f"{place}: not recorded in keyset {name!r}; lpe keys list {name} shows what is")
    report = Report("keys forget", as_json=as_json)
    report.result({"name": name, "forgotten": place}, properties_table("keys forget", {"forgotten": place}))


@app.command(cls=Command, epilog=epilog("keys export"))
def export(
    name: NAME,
    keystore: KEYSTORE,
    dataset: SEALED,
    output: Annotated[str, typer.Option(metavar="FILE", help="The file to write, readable for you alone.")],
    as_json: JSON = False,
) -> None:
    """Write the data key of a sealed dataset: it opens the seal of that dataset, and nothing else."""
    exported = lpe.export_data_key(dataset_path(dataset, "--dataset"), keystore, name, output)
    properties = {"dataset": exported.dataset, "data key": exported.output}
    report = Report("keys export", as_json=as_json)
    report.result(exported.to_json(), properties_table("keys export", properties))


@app.command(cls=Command, epilog=epilog("keys log"))
def log(
    name: NAME,
    keystore: KEYSTORE,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Log the keys, of which the trail says something else, as they are."),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Check and print a keyset's audit trail."""
    if accept:
        lpe.KeyStore(keystore).accept(name)
    trail = lpe.KeyStore(keystore).audit_log(name)
    value = {
        "name": name,
        "events": [dict(event) for event in trail.events],
        "ok": not trail.problems,
        "problems": list(trail.problems),
        "last_hash": trail.last_hash,
    }
    if trail.problems:
        value |= {"status": "error", "error": trail.problems[0]}
    lines = tuple(f"problem: {problem}" for problem in trail.problems)
    lines = lines or (f"The chain is whole; last hash {trail.last_hash}",)
    Report("keys log", as_json=as_json).result(value, _trail_table(name, trail), lines=lines)
    if trail.problems:
        raise typer.Exit(1)


def _trail_table(name: str, trail: AuditTrail) -> Table:
    columns = {"n", "time", "user", "event", "previous"}
    rows = [
        [
            str(event.get("n")),
            str(event.get("time"))[:19].replace("T", " "),
            str(event.get("user")),
            str(event.get("event")),
            ", ".join(f"{key} {detail}" for key, detail in event.items() if key not in columns),
        ]
        for event in trail.events
    ]
    return rows_table(f"audit trail of {name}", ["", "time (UTC)", "user", "event", "details"], rows)


def _print_keys(
    command: str,
    name: str,
    keys: Sequence[KeyInfo],
    *,
    as_json: bool,
    lines: tuple[str, ...] = (),
    **more: Any,
) -> None:
    rows = [
        [str(key.id), key.state, "primary" if key.primary else "", key.created or "unknown"] for key in keys
    ]
    value = {"name": name, "keys": [dataclasses.asdict(key) for key in keys], **more}
    report = Report(f"keys {command}", as_json=as_json)
    report.result(value, rows_table(f"keyset {name}", ["key id", "state", "", "created"], rows), lines=lines)
