"""The commands with a network: lpe train, evaluate, predict, export."""

from __future__ import annotations

import collections
import shlex
from enum import StrEnum
from typing import Annotated, Any

import typer

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import complete_front_end
from lpe.pipeline.cli.console import Report, properties_table, rows_table
from lpe.pipeline.cli.options import (
    ANY_KEYSTORE,
    DATA,
    DATA_KEY,
    EPOCHS,
    EXECUTION,
    JSON,
    MODEL,
    SEED,
    TRAINING,
    dataset_path,
)
from lpe.pipeline.cli.recipe import (
    BATCH_SIZE,
    LEARNING_RATE,
    PRECISION,
    RECIPE,
    TRAIN_IMAGES,
    chosen_recipe,
    of_recipe,
)
from lpe.pipeline.cli.sizes import byte_count
from lpe.pipeline.jobs import prediction_file
from lpe.transforms.errors import UsageError


class OnBadShard(StrEnum):
    """Values of `--on-bad-shard`."""

    fail = "fail"
    skip = "skip"


FRONT_END = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Key-free steps before the network, joined by +: dechain, bit-planes, embedding, affine, adaptation, "
        "adaptation-shared; or auto: what is meant for the scheme.",
        autocompletion=complete_front_end,
    ),
]
CACHE = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Where shards of a dataset in a bucket are kept on this machine. \\[default: ~/.cache/lpe]",
        rich_help_panel=EXECUTION,
    ),
]
CACHE_SIZE = Annotated[
    str,
    typer.Option(
        "--cache-bytes",
        metavar="SIZE",
        help="What they may take, e.g. 500MB, 20GB.",
        rich_help_panel=EXECUTION,
    ),
]
RUN = Annotated[str, typer.Option(metavar="DIR", help="The run's directory, as given to lpe train.")]
BATCH = Annotated[int, typer.Option(min=1, metavar="N", help="Images per step.", rich_help_panel=EXECUTION)]


def train(
    data: DATA,
    output: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="The run's directory; with --release a file, whose name ends in .sealed."
        ),
    ],
    data_key: DATA_KEY = None,
    release: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Opens a sealed dataset in memory, and encrypts the model to its owner: what answers lpe attest.",
        ),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="With --release: the private key, where lpe attest was told where to put it."
        ),
    ] = None,
    model: MODEL = "cnn",
    front_end: FRONT_END = "auto",
    epochs: EPOCHS = 10,
    train_images: TRAIN_IMAGES = None,
    recipe: RECIPE = None,
    optimizer: Annotated[str | None, of_recipe("NAME", "adamw or sgd.")] = None,
    schedule: Annotated[str | None, of_recipe("NAME", "cosine, one-cycle or step.")] = None,
    batch_size: BATCH_SIZE = None,
    learning_rate: LEARNING_RATE = None,
    warm_up: Annotated[
        float | None, of_recipe("SHARE", "Share of all steps with a rising learning rate.")
    ] = None,
    weight_decay: Annotated[float | None, of_recipe("X", "Decoupled.")] = None,
    label_smoothing: Annotated[float | None, of_recipe("X", "0 to 1.")] = None,
    clip_norm: Annotated[float | None, of_recipe("X", "Shorten gradients to this norm.")] = None,
    ema: Annotated[float | None, of_recipe("DECAY", "Average the weights with this decay per step.")] = None,
    precision: PRECISION = "float32",
    validation_fraction: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.5,
            metavar="X",
            help="Of train, where the dataset has no validation split.",
            rich_help_panel=TRAINING,
        ),
    ] = 0.1,
    seed: SEED = 0,
    init_from: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Start from the network of this finished run, e.g. after its dataset was re-encrypted. With hidden "
            "labels the classes of the new version have other numbers: the classification layer relearns them.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    on_bad_shard: Annotated[
        OnBadShard,
        typer.Option(
            help="What to do with a shard that is missing or damaged; skip looks for them before the first epoch.",
            rich_help_panel=TRAINING,
        ),
    ] = OnBadShard.fail,
    cache: CACHE = None,
    cache_bytes: CACHE_SIZE = "20GB",
    as_json: JSON = False,
) -> None:
    """Train a network on a dataset's shards, encrypted or plain; needs no key but a sealed dataset's data key."""
    report = Report("train", as_json=as_json)
    if release is not None and (data_key is not None or init_from is not None):
        raise UsageError(
            "--release gives the data key, for a new network; leave out --data-key and --init-from"
        )
    if identity is not None and release is None:
        raise UsageError("--identity goes with --release")
    checks.check_network(model, front_end, precision)
    chosen = chosen_recipe(
        model,
        recipe,
        optimizer=optimizer,
        schedule=schedule,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warm_up=warm_up,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        clip_norm=clip_norm,
        ema=ema,
    )
    spec = lpe.TrainSpec(
        data=dataset_path(data, "--data"),
        output=output,
        model=model,
        front_end=front_end,
        epochs=epochs,
        recipe=chosen,
        precision=precision,  # type: ignore[arg-type]
        validation_fraction=validation_fraction,
        seed=seed,
        images=train_images,
        init_from=init_from,
        data_key=data_key,
        on_bad_shard=on_bad_shard.value,
        cache=cache,
        cache_bytes=byte_count(cache_bytes, "--cache-bytes"),
    )
    if release is not None:
        released = lpe.open_release(release, identity)
        result = lpe.train_released(spec, released, output, report.epoch, report.status)
        lpe.delete_identity(released.offer.nonce, identity)
        line = f"For the owner alone: lpe predict --model {shlex.quote(output)} --keystore KEYSTORE IMAGES"
        report.result(result.to_json(), properties_table("train", result.properties()), lines=(line,))
        return
    result = lpe.fit(spec, report.epoch, report.status)
    lines: tuple[str, ...] = ()
    if result.data.encryption is not None:
        run = shlex.quote(result.run)
        lines = (
            f"The owner keeps this model's key from destruction: lpe keys register {run} --keystore KEYSTORE",
        )
    report.result(result.to_json(), properties_table("train", result.properties()), lines=lines)


def evaluate(
    run: RUN,
    data: DATA,
    data_key: DATA_KEY = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Which split.")] = "test",
    batch_size: BATCH = 256,
    cache: CACHE = None,
    cache_bytes: CACHE_SIZE = "20GB",
    as_json: JSON = False,
) -> None:
    """Measure a trained model on a split of a dataset under the same key."""
    report = Report("evaluate", as_json=as_json)
    path = dataset_path(data, "--data")
    evaluation = lpe.evaluate(
        lpe.load_run(run),
        path,
        split,
        batch_size,
        data_key=data_key,
        cache=cache,
        cache_bytes=byte_count(cache_bytes, "--cache-bytes"),
    )
    properties = {"split": split, **evaluation.properties()}
    report.result(evaluation.to_json(), properties_table("evaluate", properties))


def predict(
    images: Annotated[
        list[str],
        typer.Argument(help="Image files, folders of them, or quoted patterns such as 'photos/*.png'."),
    ],
    run: Annotated[
        str | None, typer.Option(metavar="DIR", help="The run's directory, as given to lpe train.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Instead of a run: an ONNX file of lpe export, which needs no Keras, or a sealed model of lpe train "
            "--release.",
        ),
    ] = None,
    keystore: ANY_KEYSTORE = None,
    output: Annotated[
        str | None, typer.Option(help="Write path, label and probability to this .csv or .jsonl file.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Encrypt the owner's images as the model's data was encrypted, and classify them."""
    report = Report("predict", as_json=as_json)
    if output is not None:
        prediction_file.check_name(output)
    chosen = checks.chosen_model(run, model)
    checks.check_keystore(keystore)
    with report.progress("predict") as update:
        predictions = lpe.predict(chosen, images, keystore, update)
    value: dict[str, Any] = {"predictions": [prediction.to_json() for prediction in predictions]}
    if output is None:
        rows = [list(prediction.properties().values()) for prediction in predictions]
        report.result(value, rows_table("predict", ["image", "class", "probability"], rows))
    else:
        prediction_file.write(output, predictions)
        counts = collections.Counter(prediction.label for prediction in predictions)
        rows = [[label, f"{count:,}"] for label, count in counts.most_common()]
        report.result(
            {**value, "output": output},
            rows_table("predict", ["class", "images"], rows),
            lines=(f"{len(predictions):,} predictions: {output}",),
        )


def export(
    run: RUN,
    output: Annotated[
        str, typer.Option(metavar="PATH", help="The file, or the directory of a SavedModel, to write.")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="onnx (.onnx, for lpe predict --model and any runtime), savedmodel (a directory, for TensorFlow) or "
            "torch (.pt2, for torch.export.load; set KERAS_BACKEND=torch).",
        ),
    ] = "onnx",
    as_json: JSON = False,
) -> None:
    """Write a trained model, front end included, for a runtime without lpe and Keras; it holds no key."""
    report = Report("export", as_json=as_json)
    checks.check_run(run)
    exported = lpe.export_model(lpe.load_run(run), form, output)
    report.result(exported.to_json(), properties_table("export", exported.properties()))
