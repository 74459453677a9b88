"""lpe audit."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpe.pipeline.cli.options import (
    ANY_KEYSTORE,
    GREY,
    IMAGE_SIZE,
    JSON,
    PARAM,
    KeyScope,
    cipher_names,
    cipher_params,
    read_spec,
)
from lpe.transforms.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from lpe.pipeline.audit.attacking import Classify
    from lpe.pipeline.audit.scene import Scene
    from lpe.transforms.keyed import Scope


class Adversary(StrEnum):
    all = "all"
    ciphertext_only = "ciphertext-only"
    known_plaintext = "known-plaintext"
    chosen_plaintext = "chosen-plaintext"


def audit(
    output: Annotated[str, typer.Option(help="Directory of the report.")],
    dataset: Annotated[
        str | None, typer.Argument(help="An encrypted dataset of yours; its key says what is true.")
    ] = None,
    keystore: ANY_KEYSTORE = None,
    source: Annotated[
        str | None,
        typer.Option(help="Instead of a dataset: plain images, encrypted with fresh keys to be attacked."),
    ] = None,
    cipher: Annotated[
        str, typer.Option("--cipher", "--ciphers", help="With --source: schemes, comma-separated, or `all`.")
    ] = "lpe-100",
    param: PARAM = None,
    scope: Annotated[
        KeyScope | None,
        typer.Option(help="With --source: one key for the dataset, or one per image [default: both]."),
    ] = None,
    adversary: Annotated[Adversary, typer.Option(help="Who attacks.")] = Adversary.all,
    images: Annotated[int, typer.Option(min=10, help="How many images are sampled.")] = 500,
    classifier: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="A model trained on plain images: does it see the same class?"),
    ] = None,
    learned: Annotated[
        bool,
        typer.Option(
            "--learned", help="Also train networks to invert the encryption (extra train, minutes)."
        ),
    ] = False,
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    as_json: JSON = False,
) -> None:
    """Attack an encryption as adversaries would, and report what they got back."""
    from lpe.pipeline.audit import attacking, report, scene  # noqa: PLC0415
    from lpe.pipeline.cli.console import Report  # noqa: PLC0415

    if (dataset is None) == (source is None):
        raise UsageError("name either an encrypted dataset or a --source of plain images")
    console = Report("audit", as_json=as_json)
    scenes: list[Scene] = []
    if dataset is not None:
        if keystore is None:
            raise UsageError(
                "auditing an encrypted dataset needs its key, to know what is true; pass --keystore"
            )
        scenes.append(scene.scene_of_dataset(dataset, keystore, images))
    else:
        plain = scene.sample(read_spec(str(source), image_size, grey, None, False), images)
        scopes: tuple[Scope, ...] = ("dataset", "image") if scope is None else (scope.value,)
        scenes = [
            scene.scene_of_scheme(plain, name, cipher_params(param), each)
            for name in cipher_names(cipher)
            for each in scopes
            if name != "plain" or each == scopes[0]
        ]
    adversaries = attacking.ADVERSARIES if adversary == Adversary.all else (adversary.value,)
    classify = _classify(classifier)
    audits = []
    for each in scenes:
        more = _learned(each) if learned else []
        chosen = (*adversaries, "learned") if learned else adversaries
        audits.append(attacking.audit(each, chosen, classify, more, console.note))
    count = len(scenes[0].plain) + len(scenes[0].held_out[0])
    value = report.write(output, str(dataset or source), count, audits)
    lines = (f"report: {output}/report.html",)
    console.result({"output": output, **value}, _table(value), lines=lines)


def _classify(run: str | None) -> Classify | None:
    if run is None:
        return None
    from lpe.train.predict import predictor  # noqa: PLC0415  (TensorFlow is heavy, and an extra)
    from lpe.train.runs import load_run  # noqa: PLC0415

    trained = load_run(run)
    if trained.encryption is not None:
        raise UsageError(f"--classifier {run}: was trained on encrypted images; name a run on plain ones")
    ask = predictor(trained)
    return lambda images: ask(images).argmax(axis=1)


def _learned(scene: Scene) -> list[Any]:
    from lpe.pipeline.audit.learned import attacks_on  # noqa: PLC0415  (TensorFlow is heavy, and an extra)

    return attacks_on(scene)


def _table(value: dict[str, Any]) -> Table:
    from lpe.pipeline.cli.console import columns  # noqa: PLC0415

    rows = [[scheme["cipher"], scheme["scope"], scheme["verdict"]] for scheme in value["schemes"]]
    return columns(f"{value['source']}, {value['images']:,} images", ["cipher", "key per", "verdict"], rows)
