"""lpe fit-reduction."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import lpe
from lpe.pipeline.cli.console import Report, properties_table
from lpe.pipeline.cli.image_options import AS_THEY_ARE, ImageOptions, takes_image_options
from lpe.pipeline.cli.options import EPOCHS, JSON, SEED, SOURCE, TRAINING

_ENCODER = "Encoder"


def _of_encoder(metavar: str, text: str, **bounds: Any) -> Any:
    return typer.Option(metavar=metavar, help=text, rich_help_panel=_ENCODER, **bounds)


@takes_image_options
def fit_reduction(
    source: SOURCE,
    output: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="For the encoder, a secret like a key, and its figures: --reduce learned:DIR."
        ),
    ],
    channels: Annotated[int, _of_encoder("K", "Channels of what is released.")] = 3,
    side: Annotated[int, _of_encoder("PIXELS", "Longer side of what is released.")] = 8,
    width: Annotated[int, _of_encoder("N", "Channels of the first convolution.")] = 32,
    convolutions: Annotated[int, _of_encoder("N", "Convolutions at each resolution.")] = 2,
    adversary: Annotated[
        float, _of_encoder("WEIGHT", "How much a decoder's error counts; 0 fits for the label alone.")
    ] = 1.0,
    noise: Annotated[
        int, _of_encoder("SD", "Fit for noise on what is released: --reduce learned:DIR,noise=SD.")
    ] = 0,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Fit to these classes alone, comma-separated. \\[default: all]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    images: Annotated[
        int,
        typer.Option(
            min=2, metavar="N", help="Fit to at most so many images of train.", rich_help_panel=TRAINING
        ),
    ] = 20_000,
    epochs: EPOCHS = 6,
    seed: SEED = 0,
    reading: ImageOptions = AS_THEY_ARE,
    as_json: JSON = False,
) -> None:
    """Fit an encoder that keeps of each image what its label needs, for `--reduce learned:DIR`."""
    report = Report("fit-reduction", as_json=as_json)
    spec = lpe.FitSpec(channels, side, width, convolutions, adversary, noise, epochs, seed)
    chosen = tuple(classes.split(",")) if classes is not None else ()
    fitted = lpe.fit_reduction(reading.read_spec(source), output, spec, images, chosen, report.status)
    report.result(
        {**fitted.to_json(), "output": fitted.output},
        properties_table("fit-reduction", fitted.properties()),
        lines=fitted.notes,
    )
