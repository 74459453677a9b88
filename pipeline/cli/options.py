"""Options that several commands share, and the values that they stand for."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import (
    complete_cipher,
    complete_ciphers,
    complete_image_size,
    complete_model,
    complete_source,
)
from lpe.transforms.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from lpe.pipeline.sources.base import ImageSize

READING = "Reading images"
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
        "directory per class, or a .tar.gz of them), parquet:GLOB, dataset:DIR, synthetic:N.",
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
IMAGE_SIZE = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="For image files: `same` (all must have one size), `any` (keep all sizes), or HEIGHTxWIDTH.",
        autocompletion=complete_image_size,
        rich_help_panel=READING,
    ),
]
GREY = Annotated[
    bool, typer.Option("--grey", help="Read image files as one grey channel.", rich_help_panel=READING)
]
IMAGE_KEY = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="With tfds, parquet: what to take as image.", rich_help_panel=READING),
]
LABEL_KEY = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="With tfds, parquet: what to take as label.", rich_help_panel=READING),
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
MAX_PIXELS = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Read images of at most so many pixels, height × width. \\[default: 67108864]",
        rich_help_panel=READING,
    ),
]
MAX_MEMBERS = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Read archives of at most so many files. \\[default: 2000000]",
        rich_help_panel=READING,
    ),
]
MAX_UNPACKED_BYTES = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Unpack an archive to at most so many bytes. \\[default: 50 times its size, and 256 MiB in any case]",
        rich_help_panel=READING,
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
MODEL = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="The network: cnn, resnet18, pyramidnet-DEPTH-ALPHA (110-270).",
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
SCOPE = Annotated[
    KeyScope, typer.Option(help="One key for the dataset, or one per image.", rich_help_panel=ENCRYPTION)
]
SEAL = Annotated[
    bool,
    typer.Option(
        "--seal",
        help="Also wrap each encrypted image in AES-256-GCM, for storage and transport; see lpe unseal.",
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
HIDE_LABELS = Annotated[
    bool,
    typer.Option(
        "--hide-labels", help="Replace class names by permuted numbers.", rich_help_panel=ENCRYPTION
    ),
]


def read_spec(
    source: str,
    image_size: str,
    grey: bool,
    validation_fraction: str | None,
    keep_ids: bool,
    limits: lpe.Limits | None = None,
    *,
    image_key: str | None = None,
    label_key: str | None = None,
    data_key: str | None = None,
) -> lpe.ReadSpec:
    """The input that the options name, checked as far as it can be without reading it.

    Raises:
      UsageError: an image size that is none, or options that do not go with the source.
      DataError: an unknown kind of source, or nothing at its path.
    """
    size: ImageSize
    if image_size in ("same", "any"):
        size = "same" if image_size == "same" else "any"
    elif match := re.fullmatch(r"(\d+)x(\d+)", image_size):
        size = (int(match[1]), int(match[2]))
    else:
        raise UsageError(
            f"--image-size {image_size}: give same, any, or HEIGHTxWIDTH such as 224x224{_size_hint(image_size)}"
        )
    if isinstance(size, tuple) and min(size) < 1:
        raise UsageError(f"--image-size {image_size}: at least 1x1")
    options = lpe.ReadOptions(size, grey, limits or lpe.Limits(), image_key, label_key)
    read = lpe.ReadSpec(source, options, validation_fraction, keep_ids, data_key)
    checks.check_source(read)
    return read


def _size_hint(text: str) -> str:
    if numbers := re.fullmatch(r"(\d+)(?:\D+(\d+))?", text):
        return f"; did you mean {numbers[1]}x{numbers[2] or numbers[1]}?"
    return did_you_mean(text, ["same", "any"])


def read_limits(pixels: int | None, members: int | None, unpacked_bytes: int | None) -> lpe.Limits:
    """The limits that the options ask for, the default ones for None. Raises UsageError for more than Pillow reads."""
    asked = {"pixels": pixels, "members": members, "unpacked_bytes": unpacked_bytes}
    return lpe.Limits(**{name: limit for name, limit in asked.items() if limit is not None})


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
