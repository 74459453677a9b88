"""Options that several commands share, and the values that they stand for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import (
    complete_cipher,
    complete_ciphers,
    complete_model,
    complete_source,
)
from lpe.transforms.errors import UsageError

READING = "Reading images"
APPENDING = "Adding to a dataset"
ENCRYPTION = "Encryption"
AUGMENTATION = "Augmentation"
TRAINING = "Network and training"
EXECUTION = "Execution and output"
"""Headings of help, under which options stand that are not the common ones."""


class OnBadRecord(StrEnum):
    """Values of `--on-bad-record`."""

    fail = "fail"
    skip = "skip"


class KeyScope(StrEnum):
    """Values of `--scope`."""

    dataset = "dataset"
    image = "image"


JSON = Annotated[
    bool, typer.Option("--json", help="Print one JSON object for machines.", rich_help_panel=EXECUTION)
]
SOURCE = Annotated[
    str,
    typer.Option(
        metavar="SOURCE",
        help="Where images come from: cifar10, tfds:NAME, cifar:PATH (official archive or folder), folder:PATH (a "
        "directory per class, or a .tar.gz or .zip of them), parquet:GLOB, dataset:DIR, synthetic:N.",
        autocompletion=complete_source,
    ),
]
DATASET_SOURCE = Annotated[
    str,
    typer.Option(
        "--source", metavar="DATASET", help="A dataset's home or version directory, or dataset:DIR."
    ),
]
HOME = Annotated[
    str,
    typer.Option(
        "--output", metavar="HOME", help="The dataset's home, ROOT/NAME; the next version goes there."
    ),
]
KEYSTORE = Annotated[str, typer.Option(metavar="DIR", help="Directory of the key store.")]
ANY_KEYSTORE = Annotated[str | None, typer.Option(metavar="DIR", help="Directory of the key store.")]
BAD_RECORD = Annotated[
    OnBadRecord,
    typer.Option(help="What to do with an image that cannot be read.", rich_help_panel=READING),
]
VALIDATION = Annotated[
    str | None,
    typer.Option(
        metavar="FRACTION", help="Cut a validation split from train, e.g. 0.1.", rich_help_panel=READING
    ),
]
KEEP_IDS = Annotated[
    bool,
    typer.Option(
        "--keep-ids", help="Use original file names as ids (they may tell much).", rich_help_panel=READING
    ),
]
DATA = Annotated[
    str, typer.Option(metavar="DATASET", help="A dataset's home or version directory, or dataset:DIR.")
]
DATA_KEY = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Opens a sealed dataset in memory: its data key, from lpe keys export."
    ),
]
SEALED_HELP = "The sealed dataset's home or version directory, or dataset:DIR."
SEALED = Annotated[str, typer.Option("--dataset", metavar="DATASET", help=SEALED_HELP)]
MODEL = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="The network: cnn, vit, convmixer, resnet18, pyramidnet-DEPTH-ALPHA (110-270).",
        autocompletion=complete_model,
    ),
]
EPOCHS = Annotated[int, typer.Option(min=1, metavar="N", help="Passes over the training images.")]
SEED = Annotated[
    int, typer.Option(metavar="N", help="Same seed, same run on one machine.", rich_help_panel=TRAINING)
]
CIPHER = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="The encryption scheme; see lpe ciphers.", autocompletion=complete_cipher
    ),
]
CIPHER_OR_KEPT = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The encryption scheme; see lpe ciphers. \\[default: lpe-100; with --append as it is]",
        autocompletion=complete_cipher,
    ),
]
WORKERS = Annotated[
    str,
    typer.Option(
        metavar="N",
        help="Processes that work at once on this machine, or `auto`: as many as the job pays for, and cores and "
        "memory allow.",
        rich_help_panel=EXECUTION,
    ),
]
CIPHERS = Annotated[
    str,
    typer.Option(
        metavar="NAMES", help="Schemes, comma-separated, or `all`.", autocompletion=complete_ciphers
    ),
]
PARAM = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE", help="A parameter of the scheme, e.g. chain=row.", rich_help_panel=ENCRYPTION
    ),
]
_SCOPE_HELP = "One key for the dataset, or one per image."
SCOPE = Annotated[KeyScope, typer.Option(help=_SCOPE_HELP, rich_help_panel=ENCRYPTION)]
SCOPE_OR_KEPT = Annotated[
    KeyScope | None,
    typer.Option(
        help=f"{_SCOPE_HELP} \\[default: dataset; with --append as it is]", rich_help_panel=ENCRYPTION
    ),
]
SEAL = Annotated[
    bool,
    typer.Option(
        "--seal",
        help="Also wrap each encrypted image in AES-256-GCM, for storage and transport; see lpe unseal.",
        rich_help_panel=ENCRYPTION,
    ),
]
REDUCE = Annotated[
    str | None,
    typer.Option(
        metavar="CHAIN",
        help="First give away less of each image, for good: thumbnail=SIDE, blur=SIGMA, noise=SD, bits=N, grey, "
        "learned:DIR of lpe fit-reduction, or several, comma-separated, each of what the one before leaves.",
        rich_help_panel=ENCRYPTION,
    ),
]
AUGMENT = Annotated[
    str | None,
    typer.Option(
        metavar="KINDS",
        help="Add augmented copies of the training images, which a trainer cannot make of encrypted ones: flip, crop, "
        "or flip,crop.",
        rich_help_panel=AUGMENTATION,
    ),
]
COPIES = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="With --augment: how many of each image; lpe train takes one an epoch. \\[default: 1]",
        rich_help_panel=AUGMENTATION,
    ),
]
AUGMENT_SEED = Annotated[
    int,
    typer.Option(
        metavar="N", help="With --augment: other seeds, other copies.", rich_help_panel=AUGMENTATION
    ),
]
APPEND = Annotated[
    bool,
    typer.Option(
        "--append",
        help="Add the images that the dataset at --output does not hold yet: its next version takes over all shards as "
        "they are.",
        rich_help_panel=APPENDING,
    ),
]
ADD_LABELS = Annotated[
    bool,
    typer.Option(
        "--add-labels",
        help="With --append: give classes that are new numbers after the others, instead of refusing them.",
        rich_help_panel=APPENDING,
    ),
]
HIDE_LABELS = Annotated[
    bool,
    typer.Option(
        "--hide-labels", help="Replace class names by permuted numbers.", rich_help_panel=ENCRYPTION
    ),
]


def cipher_params(pairs: list[str] | None) -> dict[str, str]:
    """The parameters that `NAME=VALUE` options give. Raises UsageError for other text."""
    params = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--param {pair}: give NAME=VALUE, e.g. chain=row")
        params[name] = value
    return params


def cipher_names(text: str) -> list[str]:
    """The schemes named by `all`, or by names separated by commas. Raises CipherError for an unknown one."""
    names = lpe.ciphers.names() if text == "all" else text.split(",")
    for name in names:
        lpe.ciphers.scheme(name)
    return names


def augmentation_of(kinds: str | None, copies: int | None, seed: int) -> lpe.Augmentation | None:
    """The augmentation that the options ask for. Raises UsageError for unknown kinds, or copies of none."""
    if kinds is None:
        if copies is not None:
            raise UsageError("--copies goes with --augment, e.g. --augment flip,crop")
        return None
    return lpe.Augmentation(tuple(kinds.split(",")), copies or 1, seed)


def dataset_path(text: str, option: str) -> str:
    """The path of a dataset, which may be named as such or as dataset:PATH; it is there, unless it is remote.

    Args:
      text: what was given.
      option: by which option or argument, for messages.

    Raises:
      UsageError: a source of another kind.
      DataError: there is no dataset.
    """
    path = dataset_name(text, option)
    checks.check_dataset(path)
    return path


def dataset_name(text: str, option: str) -> str:
    """As `dataset_path`, for a dataset that may be gone."""
    from lpe.pipeline.sources import KINDS  # noqa: PLC0415  (Pillow)

    kind, colon, path = text.partition(":")
    if kind == "dataset" and path:
        return path
    if not colon or kind not in {form.partition(":")[0] for form in KINDS}:
        return text
    raise UsageError(f"{option} {text}: name a dataset by its path, or as dataset:DIR; lpe ingest makes one")
