"""Options that several commands share, and the values that they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

import lpe
from lpe.pipeline.cli.console import Report, job_table, tfds_lines
from lpe.transforms.errors import DataError, UsageError

if TYPE_CHECKING:
    from lpe.pipeline.sources.base import ImageSize

BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Context settings of commands that pass what they do not know to Beam."""


class OnBadRecord(StrEnum):
    """Values of `--on-bad-record`."""

    fail = "fail"
    skip = "skip"


class KeyScope(StrEnum):
    """Values of `--scope`."""

    dataset = "dataset"
    image = "image"


JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
SOURCE = Annotated[
    str,
    typer.Option(
        help="Where images come from: cifar10, tfds:NAME, cifar:PATH, folder:PATH, dataset:DIR, synthetic:N."
    ),
]
HOME = Annotated[
    str, typer.Option("--output", help="The dataset's home, ROOT/NAME; the next version goes there.")
]
KEYSTORE = Annotated[str, typer.Option(help="Directory of the key store.")]
ANY_KEYSTORE = Annotated[str | None, typer.Option(help="Directory of the key store.")]
BAD_RECORD = Annotated[OnBadRecord, typer.Option(help="What to do with an image that cannot be read.")]
IMAGE_SIZE = Annotated[
    str,
    typer.Option(
        help="For image files: `same` (all must have one size), `any` (keep all sizes), or HEIGHTxWIDTH."
    ),
]
GREY = Annotated[bool, typer.Option("--grey", help="Read image files as one grey channel.")]
VALIDATION = Annotated[
    str | None, typer.Option(metavar="FRACTION", help="Cut a validation split from train, e.g. 0.1.")
]
KEEP_IDS = Annotated[
    bool, typer.Option("--keep-ids", help="Use original file names as ids (they may tell much).")
]
MAX_PIXELS = Annotated[
    int | None,
    typer.Option(min=1, help="Read images of at most so many pixels, height × width. [default: 67108864]"),
]
MAX_MEMBERS = Annotated[
    int | None, typer.Option(min=1, help="Read archives of at most so many files. [default: 2000000]")
]
MAX_UNPACKED_BYTES = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Unpack an archive to at most so many bytes. [default: 50 times its size, and 256 MiB in any case]",
    ),
]
DATA = Annotated[str, typer.Option(help="A dataset's home or version directory.")]
MODEL = Annotated[str, typer.Option(help="The network: cnn, resnet18, pyramidnet-DEPTH-ALPHA (110-270).")]
EPOCHS = Annotated[int, typer.Option(min=1, help="Passes over the training images.")]
SEED = Annotated[int, typer.Option(help="Same seed, same run on one machine.")]
CIPHER = Annotated[str, typer.Option(help="The encryption scheme.")]
WORKERS = Annotated[int, typer.Option(min=1, help="Processes that work at once on this machine.")]
CIPHERS = Annotated[str, typer.Option(help="Schemes, comma-separated, or `all`.")]
PARAM = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the scheme, e.g. chain=row.")
]
SCOPE = Annotated[KeyScope, typer.Option(help="One key for the dataset, or one per image.")]
SEAL = Annotated[
    bool,
    typer.Option(
        "--seal",
        help="Also wrap each encrypted image in AES-256-GCM, for storage and transport; see lpe unseal.",
    ),
]
AUGMENT = Annotated[
    str | None,
    typer.Option(
        metavar="KINDS",
        help="Add augmented copies of the training images, which a trainer cannot make of encrypted ones: flip, crop, "
        "or flip,crop.",
    ),
]
COPIES = Annotated[
    int | None,
    typer.Option(
        min=1, help="With --augment: how many of each image; lpe train takes one an epoch. [default: 1]"
    ),
]
AUGMENT_SEED = Annotated[int, typer.Option(help="With --augment: other seeds, other copies.")]
HIDE_LABELS = Annotated[bool, typer.Option("--hide-labels", help="Replace class names by permuted numbers.")]


def read_spec(
    source: str,
    image_size: str,
    grey: bool,
    validation_fraction: str | None,
    keep_ids: bool,
    limits: lpe.Limits | None = None,
) -> lpe.ReadSpec:
    """The input that the options name. Raises UsageError for an image size that is none."""
    size: ImageSize
    if image_size in ("same", "any"):
        size = "same" if image_size == "same" else "any"
    elif match := re.fullmatch(r"(\d+)x(\d+)", image_size):
        size = (int(match[1]), int(match[2]))
    else:
        raise UsageError(f"--image-size {image_size}: give same, any, or HEIGHTxWIDTH such as 224x224")
    if isinstance(size, tuple) and min(size) < 1:
        raise UsageError(f"--image-size {image_size}: at least 1x1")
    return lpe.ReadSpec(
        source, lpe.ReadOptions(size, grey, limits or lpe.Limits()), validation_fraction, keep_ids
    )


def read_limits(pixels: int | None, members: int | None, unpacked_bytes: int | None) -> lpe.Limits:
    """The limits that the options ask for, the default ones for None. Raises UsageError for more than Pillow reads."""
    asked = {"pixels": pixels, "members": members, "unpacked_bytes": unpacked_bytes}
    return lpe.Limits(**{name: limit for name, limit in asked.items() if limit is not None})


def run_job(
    command: str,
    job: Callable[[lpe.JobSpec], lpe.JobResult],
    read: lpe.ReadSpec,
    home: str,
    beam: Sequence[str],
    *,
    on_bad_record: OnBadRecord = OnBadRecord.fail,
    workers: int,
    as_json: bool,
) -> None:
    """Runs a job with progress and prints its summary.

    Args:
      command: its name.
      job: what is run.
      read: the input.
      home: the dataset's home.
      beam: Beam's options, which are checked first.
      on_bad_record: see `BAD_RECORD`.
      workers: processes on this machine.
      as_json: see `JSON`.
    """
    report = Report(command, as_json=as_json)
    if command in ("ingest", "encrypt"):
        _warn_of_name(home, report)
    with report.progress(command) as update:
        spec = lpe.JobSpec(
            read=read,
            home=home,
            beam=tuple(beam),
            skip_bad_records=on_bad_record is OnBadRecord.skip,
            progress=update,
            processes=workers,
        )
        try:
            result = job(spec)
        except lpe.JobStaged as staged:
            report.staged(staged.template, home)
            return
    report.result(result.to_json(), job_table(command, result), lines=tfds_lines(result.dataset))


def _warn_of_name(home: str, report: Report) -> None:
    """Prints that `tfds.load` reads another dataset of the name, if TFDS has one."""
    from lpe.pipeline.dataset.tfds_names import TFDS_NAMES  # noqa: PLC0415  (pyarrow is slow to import)

    name = home.rstrip("/").rpartition("/")[2]
    if name in TFDS_NAMES:
        report.note(
            f"warning: TFDS has a {name} of its own: tfds.load({name!r}) reads that, and may download it, instead of "
            f"this one; name the home otherwise, e.g. my_{name}, or read it with tfds.builder_from_directory"
        )


def check_beam_options(words: Sequence[str]) -> None:
    """Raises UsageError for options that neither `lpe` nor Beam knows."""
    from lpe.pipeline.engine.beam_options import beam_options  # noqa: PLC0415  (Beam is slow to import)

    beam_options(words)


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


def dataset_path(against: str | None) -> str | None:
    """The path within `--against dataset:DIR`. Raises DataError for a source of another kind."""
    if against is None:
        return None
    kind, colon, path = against.partition(":")
    if kind == "dataset" and path:
        return path
    if colon and "://" not in against:
        raise DataError(f"--against {against}: name a plain dataset as dataset:DIR")
    return against
