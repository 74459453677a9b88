"""lpe ciphers, stats."""

from __future__ import annotations

from typing import Annotated

import typer

import lpe
from lpe.pipeline.cli.console import Report, rows_table
from lpe.pipeline.cli.options import CIPHERS, GREY, IMAGE_SIZE, JSON, SOURCE, cipher_names, read_spec


def list_ciphers(as_json: JSON = False) -> None:
    """List the schemes: source, what is keyed, key space, demands, what is known to break each."""
    shape = (32, 32, 3)
    listed = []
    rows = []
    for name in lpe.ciphers.names():
        scheme = lpe.ciphers.scheme(name)
        bits = scheme.key_bits(name, shape, lpe.ciphers.resolve_params(name, {}))
        params = scheme.default_params()
        about = {"source": scheme.source, "keyed": scheme.keyed, "demands": scheme.demands}
        listed.append(
            {
                "name": name,
                **about,
                "key_bits": round(bits, 1),
                "params": {key: list(values) for key, values in params.items()},
                "broken_by": scheme.broken_by,
            }
        )
        shown = "; ".join(f"{key}={'|'.join(values)}" for key, values in params.items())
        rows.append([name, *about.values(), f"{bits:,.0f}", shown, scheme.broken_by])
    head = ["cipher", "source", "what is keyed", "image shape", "key bits", "parameters", "known to break it"]
    report = Report("ciphers", as_json=as_json)
    report.result(
        {"ciphers": listed},
        rows_table("schemes (key bits for 32x32x3)", head, rows),
        lines=("The size of a key space is no measure of security: see the last column.",),
    )


def stats(
    source: SOURCE,
    ciphers: CIPHERS = "all",
    split: Annotated[str | None, typer.Option(help="Which split (default: test if there is one).")] = None,
    images: Annotated[int, typer.Option(min=1, max=100_000, help="How many images.")] = 500,
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    as_json: JSON = False,
) -> None:
    """Measure how random each scheme's ciphertexts look, and how far one changed bit spreads."""
    screen = Report("stats", as_json=as_json)
    table = lpe.stats(read_spec(source, image_size, grey, None, False), cipher_names(ciphers), split, images)
    screen.result(
        table.to_json(),
        rows_table(f"{source}, means over {images} images", *table.table()),
        lines=(
            "1 plain bit, 1 key bit: NPCR / UACI in percent when one bit of the image, of the secret changes.",
        ),
    )
