"""lpe run: all commands from the keys to the accuracy, one after another."""

from __future__ import annotations

from typing import Annotated

import typer

import lpe
from lpe.pipeline import storage
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.console import Report, rows_table
from lpe.pipeline.cli.image_options import AS_THEY_ARE, ImageOptions, takes_image_options
from lpe.pipeline.cli.options import (
    BAD_RECORD,
    CIPHER,
    HIDE_LABELS,
    JSON,
    KEEP_IDS,
    MODEL,
    PARAM,
    SCOPE,
    SEED,
    SOURCE,
    TRAINING,
    VALIDATION,
    KeyScope,
    OnBadRecord,
    cipher_params,
)
from lpe.pipeline.cli.training import FRONT_END
from lpe.pipeline.jobs.work_directory import run_directory


@takes_image_options
def run(
    ctx: typer.Context,
    source: SOURCE = "synthetic:4000",
    output: Annotated[str, typer.Option(metavar="DIR", help="The work directory.")] = "lpe-run",
    keystore: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Directory of the key store. \\[default: OUTPUT/keys]"),
    ] = None,
    key: Annotated[str, typer.Option(metavar="NAME", help="The keyset's name; made if absent.")] = "owner",
    cipher: CIPHER = "lpe-100",
    param: PARAM = None,
    scope: SCOPE = KeyScope.dataset,
    hide_labels: HIDE_LABELS = False,
    validation_fraction: VALIDATION = None,
    keep_ids: KEEP_IDS = False,
    reading: ImageOptions = AS_THEY_ARE,
    on_bad_record: BAD_RECORD = OnBadRecord.fail,
    model: MODEL = "cnn",
    front_end: FRONT_END = "auto",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Passes over the training images. \\[default: by their number, 2 to 30]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    seed: SEED = 0,
    no_baseline: Annotated[
        bool,
        typer.Option(
            "--no-baseline",
            help="Do not train on the plain images for comparison.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Do it all: keys, ingest, encrypt, verify, train on encrypted and on plain images, compare."""
    report = Report("run", as_json=as_json)
    params = cipher_params(param)
    checks.check_cipher(cipher, params)
    checks.check_network(model)
    read = reading.read_spec(source, validation_fraction, keep_ids=keep_ids)
    spec = lpe.DemoSpec(
        read=read,
        work=output,
        choice=lpe.CipherChoice(cipher, params, scope.value, hide_labels),
        key=lpe.KeyRef(keystore or storage.join(output, "keys"), key),
        model=model,
        front_end=front_end,
        epochs=epochs,
        seed=seed,
        baseline=not no_baseline,
        beam=tuple(ctx.args),
        skip_bad_records=on_bad_record is OnBadRecord.skip,
    )
    result = lpe.run_demo(spec, report)
    report.result(
        result.to_json(),
        rows_table(f"{source} in {output}", *result.table()),
        lines=(
            *_conclusion(result, cipher),
            "",
            *_next_commands(source, result.work, spec.key),
        ),
    )


def _conclusion(result: lpe.DemoResult, cipher: str) -> list[str]:
    """What came out, in a few sentences."""
    as_it_is = " as it is" if result.front_end == "none" else ""
    accuracy = f"Accuracy on images encrypted with {cipher}{as_it_is}: {result.encrypted_accuracy:.1%}"
    if result.plain_accuracy is None:
        lines = [f"{accuracy}."]
    else:
        lines = [f"{accuracy}; the same network on plain images: {result.plain_accuracy:.1%}."]
    if result.analyst is None:
        lines.append("What an analyst restores was not tried: that needs the extra audit.")
    else:
        lines.append(result.analyst)
    return lines


def _next_commands(source: str, work: str, key: lpe.KeyRef) -> list[str]:
    """What one does next: look at what came out, go on to images of one's own where these were made up."""
    run = run_directory(work, "encrypted")
    own = f"  lpe run --source folder:PHOTOS --image-size 64x64 --output {work}-photos"
    return [
        "Next:",
        f"  lpe show {work} --html page.html",
        *([own] if source.startswith("synthetic:") else []),
        f"  lpe predict --run {run} --keystore {key.keystore} PHOTO.png",
    ]
