"""lpe ciphers, stats."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import complete_cipher
from lpe.pipeline.cli.console import Report, properties_table, rows_table
from lpe.pipeline.cli.image_options import AS_THEY_ARE, ImageOptions, takes_image_options
from lpe.pipeline.cli.options import (
    CIPHERS,
    JSON,
    REDUCE,
    SOURCE,
    cipher_names,
)

_SHAPE = (32, 32, 3)


def list_ciphers(
    name: Annotated[
        str | None,
        typer.Argument(help="One scheme, to see all of it.", autocompletion=complete_cipher),
    ] = None,
    as_json: JSON = False,
) -> None:
    """List the schemes: key space, demands, what is known to break each; and the source of one of them."""
    listed = [_described(each) for each in (lpe.ciphers.names() if name is None else [name])]
    if name is None:
        head = ["cipher", "key bits", "image shape", "known to break it"]
        rows = [
            [each["name"], f"{each['key_bits']:,.0f}", each["demands"], each["broken_by"]] for each in listed
        ]
        table = rows_table("schemes (key bits for 32x32x3)", head, rows)
        more = "lpe ciphers NAME shows a scheme's source, what is keyed, and its parameters."
    else:
        table = properties_table(name, _properties(listed[0]))
        more = f"lpe show --source synthetic:50 --ciphers {name} draws what it does."
    Report("ciphers", as_json=as_json).result(
        {"ciphers": listed},
        table,
        lines=("The size of a key space is no measure of security: see what breaks it.", more),
    )


def _described(name: str) -> dict[str, Any]:
    """The JSON fields of a scheme."""
    scheme = lpe.ciphers.scheme(name)
    return {
        "name": name,
        "source": scheme.source,
        "keyed": scheme.keyed,
        "demands": scheme.demands,
        "key_bits": round(scheme.key_bits(name, _SHAPE, lpe.ciphers.resolve_params(name, {})), 1),
        "params": {key: list(values) for key, values in scheme.default_params().items()},
        "broken_by": scheme.broken_by,
    }


def _properties(described: dict[str, Any]) -> dict[str, str]:
    params = "; ".join(
        f"{key}={' or '.join(values)} (default {values[0]})" for key, values in described["params"].items()
    )
    return {
        "source": described["source"],
        "what is keyed": described["keyed"],
        "image shape": described["demands"],
        "key bits": f"{described['key_bits']:,.0f} for 32x32x3",
        "parameters": params or "none",
        "known to break it": described["broken_by"],
    }


@takes_image_options
def stats(
    source: SOURCE,
    ciphers: CIPHERS = "all",
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which split. \\[default: test if there is one]"),
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="How many images.")] = 500,
    reduce: REDUCE = None,
    reading: ImageOptions = AS_THEY_ARE,
    as_json: JSON = False,
) -> None:
    """Measure how random each scheme's ciphertexts look, and how far one changed bit spreads."""
    screen = Report("stats", as_json=as_json)
    checks.check_reduction(reduce)
    read = reading.read_spec(source)
    table = lpe.stats(read, cipher_names(ciphers), split, images, reduce or "")
    screen.result(
        table.to_json(),
        rows_table(f"{source}{f', {reduce}' if reduce else ''}, means over {images} images", *table.table()),
        lines=(
            "1 plain bit, 1 key bit: NPCR / UACI in percent when one bit of the image, of the secret changes.",
        ),
    )
