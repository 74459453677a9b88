"""lpe keys create, list, rotate, disable, enable, destroy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.common import JSON, KEYSTORE

if TYPE_CHECKING:
    from pipeline.keystore import KeyInfo

app = typer.Typer(help="Make and rotate the keys that datasets are encrypted under.", no_args_is_help=True)

NAME = Annotated[str, typer.Argument(help="The keyset's name.")]
KEY_ID = Annotated[int, typer.Argument(help="The key's id.")]


def _report(command: str, name: str, keys: list[KeyInfo], *, as_json: bool) -> None:
    import dataclasses  # noqa: PLC0415

    from pipeline.console import Report, columns  # noqa: PLC0415

    rows = [[str(k.id), k.state, "primary" if k.primary else "", k.created or "unknown"] for k in keys]
    value = {"name": name, "keys": [dataclasses.asdict(key) for key in keys]}
    report = Report(f"keys {command}", as_json=as_json)
    report.result(value, columns(f"keyset {name}", ["key id", "state", "", "created"], rows))


@app.command()
def create(
    name: NAME,
    keystore: KEYSTORE,
    kek: Annotated[
        str | None,
        typer.Option(help="File of the key-encryption key (default: KEYSTORE/kek.json, made if absent)."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Make a keyset with one key."""
    from pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("create", name, KeyStore(keystore).create(name, kek), as_json=as_json)


@app.command("list")
def list_keys(name: NAME, keystore: KEYSTORE, as_json: JSON = False) -> None:
    """Show a keyset's keys."""
    from pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("list", name, KeyStore(keystore).keys(name), as_json=as_json)


@app.command()
def rotate(name: NAME, keystore: KEYSTORE, as_json: JSON = False) -> None:
    """Add a key and make it primary; datasets under the old one stay readable."""
    from pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("rotate", name, KeyStore(keystore).rotate(name), as_json=as_json)


@app.command()
def disable(name: NAME, key_id: KEY_ID, keystore: KEYSTORE, as_json: JSON = False) -> None:
    """Refuse to use a key until it is enabled again."""
    from pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("disable", name, KeyStore(keystore).disable(name, key_id), as_json=as_json)


@app.command()
def enable(name: NAME, key_id: KEY_ID, keystore: KEYSTORE, as_json: JSON = False) -> None:
    """Undo `disable`."""
    from pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("enable", name, KeyStore(keystore).enable(name, key_id), as_json=as_json)


@app.command()
def destroy(
    name: NAME,
    key_id: KEY_ID,
    keystore: KEYSTORE,
    force: Annotated[
        bool, typer.Option("--force", help="Even if a dataset is still encrypted under it.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Erase a key for good; what is encrypted under it can never be read again."""
    from pipeline.keystore import KeyStore  # noqa: PLC0415

    _report("destroy", name, KeyStore(keystore).destroy(name, key_id, force=force), as_json=as_json)
