"""lpe keys create, list, rotate, disable, enable, destroy, register, release, export, log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpe.pipeline.cli.options import JSON, KEYSTORE
from lpe.transforms.errors import DataError, KeyStoreError

if TYPE_CHECKING:
    from lpe.pipeline.keystore import KeyInfo
    from lpe.pipeline.keystore.metadata import Metadata

app = typer.Typer(help="Make and rotate the keys that datasets are encrypted under.", no_args_is_help=True)

NAME = Annotated[str, typer.Argument(help="The keyset's name.")]
KEY_ID = Annotated[int, typer.Argument(help="The key's id.")]
PERIOD = Annotated[
    str | None,
    typer.Option(
        metavar="PERIOD", help="How old the primary key may become, e.g. 30d; reencrypt --if-due asks."
    ),
]


def _report(command: str, name: str, keys: list[KeyInfo], *, as_json: bool) -> None:
    from lpe.pipeline.cli.console import Report, columns  # noqa: PLC0415

    rows = [[str(k.id), k.state, "primary" if k.primary else "", k.created or "unknown"] for k in keys]
    value = {"name": name, "keys": _keys_json(keys)}
    report = Report(f"keys {command}", as_json=as_json)
    report.result(value, columns(f"keyset {name}", ["key id", "state", "", "created"], rows))


def _keys_json(keys: list[KeyInfo]) -> list[dict[str, Any]]:
    import dataclasses  # noqa: PLC0415

    return [dataclasses.asdict(key) for key in keys]


@app.command()
def create(
    name: NAME,
    keystore: KEYSTORE,
    kek: Annotated[
        str | None,
        typer.Option(
            help="The key-encryption key: a file (default: KEYSTORE/kek.json, made if absent), aws-kms://ARN, "
            "gcp-kms://projects/…, or hcvault://HOST/transit/keys/NAME."
        ),
    ] = None,
    rotation_period: PERIOD = None,
    as_json: JSON = False,
) -> None:
    """Make a keyset with one key."""
    from lpe.pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("create", name, KeyStore(keystore).create(name, kek, rotation_period), as_json=as_json)


@app.command("list")
def list_keys(
    name: NAME,
    keystore: KEYSTORE,
    root: Annotated[
        list[str] | None,
        typer.Option(help="Look for datasets in this folder too: ROOT of ROOT/NAME. May be repeated."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Show a keyset's keys, their age, what needs them, and what is due."""
    import dataclasses  # noqa: PLC0415

    from lpe.pipeline.cli.console import Report, columns  # noqa: PLC0415
    from lpe.pipeline.keystore import KeyStore, Registry  # noqa: PLC0415

    keys, registry = KeyStore(keystore).keys(name), Registry(keystore)
    meta, uses = registry.metadata(name), registry.uses(name, root or [])
    due = _due(keys, meta, {key_id: [use.place for use in found] for key_id, found in uses.items()})
    value = {
        "name": name,
        "keys": _keys_json(keys),
        "needed_by": {str(key.id): [dataclasses.asdict(use) for use in uses.get(key.id, [])] for key in keys},
        "rotation_period": meta.rotation_period,
        "last_rotation": meta.last_rotation,
        "due": due,
    }
    rows = [
        [
            str(key.id),
            "primary" if key.primary else key.state,
            _age(key.created),
            "\n".join(str(use) for use in uses.get(key.id, [])) or "nothing recorded",
        ]
        for key in keys
    ]
    table = columns(f"keyset {name}", ["key id", "state", "age", "needed by"], rows)
    report = Report("keys list", as_json=as_json)
    report.result(value, table, lines=(_rotation_line(meta), *due))


def _age(created: str | None) -> str:
    from lpe.pipeline import clock  # noqa: PLC0415

    return "unknown" if created is None else clock.in_words(clock.now() - clock.parse_stamp(created))


def _rotation_line(meta: Metadata) -> str:
    from lpe.pipeline import clock  # noqa: PLC0415

    due = meta.rotation_due()
    if due is None:
        return "No rotation period is set: lpe keys rotate --rotation-period sets one."
    left = due - clock.now()
    when = f"in {clock.in_words(left)}" if left.total_seconds() > 0 else f"since {clock.in_words(-left)}"
    return f"Rotated every {meta.rotation_period}, last {meta.last_rotation}; due {when}."


def _due(keys: list[KeyInfo], meta: Metadata, needed_by: dict[int, list[str]]) -> list[str]:
    """What the policy asks for now, one line each."""
    from lpe.pipeline import clock, storage  # noqa: PLC0415
    from lpe.pipeline.dataset import committed_versions  # noqa: PLC0415

    due = meta.rotation_due()
    lines = ["due: rotate the keyset"] if due is not None and due <= clock.now() else []
    old = [place for key in keys if not key.primary for place in needed_by.get(key.id, [])]
    for place in old:
        newest = committed_versions(storage.parent(place))[-1:]
        if newest == [storage.base_name(place)]:
            lines.append(f"due: re-encrypt {storage.parent(place)}")
    return lines


@app.command()
def rotate(name: NAME, keystore: KEYSTORE, rotation_period: PERIOD = None, as_json: JSON = False) -> None:
    """Add a key and make it primary; datasets under the old one stay readable."""
    from lpe.pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("rotate", name, KeyStore(keystore).rotate(name, rotation_period), as_json=as_json)


@app.command()
def disable(name: NAME, key_id: KEY_ID, keystore: KEYSTORE, as_json: JSON = False) -> None:
    """Refuse to use a key until it is enabled again."""
    from lpe.pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("disable", name, KeyStore(keystore).disable(name, key_id), as_json=as_json)


@app.command()
def enable(name: NAME, key_id: KEY_ID, keystore: KEYSTORE, as_json: JSON = False) -> None:
    """Undo `disable`."""
    from lpe.pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("enable", name, KeyStore(keystore).enable(name, key_id), as_json=as_json)


@app.command()
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
    from lpe.pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("destroy", name, KeyStore(keystore).destroy(name, key_id, force=force), as_json=as_json)


@app.command()
def register(
    run: Annotated[str, typer.Argument(help="A training run's directory.")],
    keystore: KEYSTORE,
    as_json: JSON = False,
) -> None:
    """Remember that a trained model needs its key, so that the key is kept for predictions."""
    from lpe.pipeline.cli.console import Report, facts  # noqa: PLC0415
    from lpe.pipeline.encryption.metadata import register_run  # noqa: PLC0415
    from lpe.train.runs import load_run  # noqa: PLC0415

    described = load_run(run).encryption
    if described is None:
        raise DataError(f"{run}: this model was trained on plain images and needs no key")
    encryption = register_run(keystore, run, described)
    value = {"run": run, "key": {"name": encryption.key_name, "id": encryption.key_id}}
    rows = {"run": run, "needs key": f"{encryption.key_name} {encryption.key_id}"}
    Report("keys register", as_json=as_json).result(value, facts("keys register", rows))


@app.command()
def release(
    name: NAME,
    place: Annotated[str, typer.Argument(help="A dataset version or training run, as `keys list` shows it.")],
    keystore: KEYSTORE,
    as_json: JSON = False,
) -> None:
    """Forget a dataset version or model that is gone or needs its key no more."""
    from lpe.pipeline.cli.console import Report, facts  # noqa: PLC0415
    from lpe.pipeline.keystore import Registry  # noqa: PLC0415

    if not Registry(keystore).release(name, place):
        raise KeyStoreError(f"{place}: not recorded in keyset {name!r}; lpe keys list {name} shows what is")
    Report("keys release", as_json=as_json).result(
        {"name": name, "released": place}, facts("keys release", {"released": place})
    )


@app.command()
def export(
    name: NAME,
    keystore: KEYSTORE,
    dataset: Annotated[str, typer.Option(help="The sealed dataset's home or version directory.")],
    output: Annotated[str, typer.Option(help="The file to write, readable for you alone.")],
    as_json: JSON = False,
) -> None:
    """Write the data key of a sealed dataset: it opens the seal of that dataset, and nothing else."""
    from lpe.pipeline import storage  # noqa: PLC0415
    from lpe.pipeline.cli.console import Report, facts  # noqa: PLC0415
    from lpe.pipeline.dataset import open_dataset  # noqa: PLC0415
    from lpe.pipeline.encryption.metadata import Encryption  # noqa: PLC0415
    from lpe.pipeline.keystore import Registry  # noqa: PLC0415

    data = open_dataset(dataset)
    encryption = None if data.encryption is None else Encryption.from_json(data.encryption, data.directory)
    if encryption is None or encryption.seal is None or encryption.key_name != name:
        raise DataError(f"{data.directory}: not sealed under a key of {name!r}; name a dataset that is")
    key = encryption.open_key(keystore).data_key(encryption.spec.salt)
    key.export(output, f"{data.name} {data.version}")
    Registry(keystore).log(
        name, "data key exported", dataset=storage.absolute(data.directory), key=encryption.key_id
    )
    rows = {"dataset": data.directory, "data key": output}
    Report("keys export", as_json=as_json).result(
        {"name": name, "dataset": data.directory, "output": output}, facts("keys export", rows)
    )


@app.command()
def log(name: NAME, keystore: KEYSTORE, as_json: JSON = False) -> None:
    """Check and print a keyset's audit trail."""
    from lpe.pipeline.cli.console import Report, columns  # noqa: PLC0415
    from lpe.pipeline.keystore import KeyStore  # noqa: PLC0415

    events, problems, last = KeyStore(keystore).audit_log(name)
    value = {"name": name, "events": events, "ok": not problems, "problems": problems, "last_hash": last}
    if problems:
        value |= {"status": "error", "error": problems[0]}
    known = {"n", "time", "user", "event", "previous"}
    rows = [
        [
            str(event.get("n")),
            str(event.get("time"))[:19].replace("T", " "),
            str(event.get("user")),
            str(event.get("event")),
            ", ".join(f"{key} {detail}" for key, detail in event.items() if key not in known),
        ]
        for event in events
    ]
    table = columns(f"audit trail of {name}", ["", "time (UTC)", "user", "event", "details"], rows)
    lines = tuple(f"problem: {line}" for line in problems) or (f"The chain is whole; last hash {last}",)
    Report("keys log", as_json=as_json).result(value, table, lines=lines)
    if problems:
        raise typer.Exit(1)
