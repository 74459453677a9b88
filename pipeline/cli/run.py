"""lpe run: the whole job."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lpe.pipeline.cli.options import (
    BAD_RECORD,
    CIPHER,
    EPOCHS,
    GREY,
    HIDE_LABELS,
    IMAGE_SIZE,
    JSON,
    KEEP_IDS,
    MODEL,
    PARAM,
    SCOPE,
    SEED,
    SOURCE,
    VALIDATION,
    KeyScope,
    OnBadRecord,
    cipher_params,
    read_spec,
)


def run(
    ctx: typer.Context,
    source: SOURCE = "synthetic:4000",
    output: Annotated[str, typer.Option(help="The work directory.")] = "lpe-run",
    keystore: Annotated[
        str | None, typer.Option(help="Directory of the key store [default: OUTPUT/keys].")
    ] = None,
    key: Annotated[str, typer.Option(help="The keyset's name; made if absent.")] = "owner",
    cipher: CIPHER = "lpe-100",
    param: PARAM = None,
    scope: SCOPE = KeyScope.dataset,
    hide_labels: HIDE_LABELS = False,
    validation_fraction: VALIDATION = None,
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    keep_ids: KEEP_IDS = False,
    on_bad_record: BAD_RECORD = OnBadRecord.fail,
    model: MODEL = "cnn",
    epochs: EPOCHS = 6,
    seed: SEED = 0,
    no_baseline: Annotated[
        bool, typer.Option("--no-baseline", help="Do not train on the plain images for comparison.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Do it all: keys, ingest, encrypt, verify, train on encrypted and on plain images, compare."""
    from lpe.pipeline import storage  # noqa: PLC0415
    from lpe.pipeline.cli.console import Report, columns  # noqa: PLC0415
    from lpe.pipeline.engine import runners  # noqa: PLC0415
    from lpe.pipeline.engine.beam_options import beam_options  # noqa: PLC0415
    from lpe.pipeline.jobs.demo import DemoSpec, run_demo  # noqa: PLC0415
    from lpe.pipeline.jobs.spec import CipherChoice  # noqa: PLC0415
    from lpe.pipeline.keystore import KeyRef  # noqa: PLC0415

    report = Report("run", as_json=as_json)
    beam = tuple(ctx.args)
    runners.check_waited_for(beam_options(beam), "run")
    spec = DemoSpec(
        read=read_spec(source, image_size, grey, validation_fraction, keep_ids),
        work=output,
        choice=CipherChoice(cipher, cipher_params(param), scope.value, hide_labels),
        key=KeyRef(keystore or storage.join(output, "keys"), key),
        beam=beam,
        skip_bad_records=on_bad_record == OnBadRecord.skip,
        model=model,
        epochs=epochs,
        seed=seed,
        baseline=not no_baseline,
    )
    result = run_demo(spec, report)
    rows = [
        [name, _what(stage), "there already" if stage["status"] == "skipped" else f"{stage['seconds']:.1f} s"]
        for name, stage in result["stages"].items()
    ]
    report.result(
        result,
        columns(f"{source} in {output}", ["stage", "what came out", "time"], rows),
        lines=_conclusion(result, cipher),
    )


def _what(stage: dict[str, Any]) -> str:
    if "problems" in stage:
        compared = f"{stage['examples']:,} images decrypt to the plain ones"
        return compared if stage["compared"] else f"{stage['examples']:,} images whole"
    if "splits" in stage:
        counts = ", ".join(f"{split['examples']:,} {name}" for name, split in stage["splits"].items())
        size = sum(split["bytes"] for split in stage["splits"].values())
        return f"{counts} ({size / 1e6:,.1f} MB) in {stage['dataset']}"
    if "keystore" in stage:
        return f"keyset {stage['name']} in {stage['keystore']}"
    if "loss" in stage:
        return f"accuracy {stage['accuracy']:.1%} on {stage['examples']:,} images"
    if "model" in stage:
        return f"{stage['epochs']} epochs, validation {stage['accuracy']['validation']:.1%}, {stage['model']}"
    return str(stage["output"])


def _conclusion(result: dict[str, Any], cipher: str) -> tuple[str, ...]:
    encrypted, plain = result["accuracy"]["encrypted"], result["accuracy"]["plain"]
    line = f"Accuracy on images encrypted with {cipher}: {encrypted:.1%}"
    if plain is None:
        return (line + ".",)
    return (f"{line}; the same network on plain images: {plain:.1%}.",)
