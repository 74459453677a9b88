"""The options that say how images are read, which all commands that read a source share."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import re
import shlex
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import complete_fit, complete_image_size, complete_resampling
from lpe.pipeline.cli.options import READING
from lpe.transforms.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from lpe.pipeline.sources.base import ImageSize

_PARAMETER = "reading"


class DigestKind(enum.StrEnum):
    """See `lpe.ReadOptions`."""

    contents = "contents"
    names_and_sizes = "names-and-sizes"


@dataclasses.dataclass(frozen=True)
class ImageOptions:
    """The options, by the names of their fields."""

    image_size: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="For image files: `same` (all must have one size), `any` (keep all sizes), `224` (as 224x224) or "
            "HEIGHTxWIDTH (cropped to that aspect around the centre, and scaled).",
            autocompletion=complete_image_size,
            rich_help_panel=READING,
        ),
    ] = "same"
    grey: Annotated[
        bool, typer.Option("--grey", help="Read image files as one grey channel.", rich_help_panel=READING)
    ] = False
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With folder: a table, .csv or .parquet, with a column path (or file, filename, file_name, image), a "
            "column label (or class), and perhaps one split. Else an image's directory is its class.",
            rich_help_panel=READING,
        ),
    ] = None
    digest: Annotated[
        DigestKind,
        typer.Option(
            help="With folder: what tells it from others. `contents` reads all bytes before anything is written; "
            "`names-and-sizes` reads none, and takes other contents of the same names and sizes for these.",
            rich_help_panel=READING,
        ),
    ] = DigestKind.contents
    fit: Annotated[
        str,
        typer.Option(
            metavar="WORD",
            help="With a size: `crop` to its aspect around the centre and scale, or `stretch` all of the image.",
            autocompletion=complete_fit,
            rich_help_panel=READING,
        ),
    ] = "crop"
    resample: Annotated[
        str,
        typer.Option(
            metavar="WORD",
            help="The filter that scales: `lanczos`, `bilinear` or `box`, none of which aliases.",
            autocompletion=complete_resampling,
            rich_help_panel=READING,
        ),
    ] = "lanczos"
    background: Annotated[
        str | None,
        typer.Option(
            metavar="COLOUR",
            help="Lay transparent pixels over it: white or #ff8000, say. \\[default: such images are bad records]",
            rich_help_panel=READING,
        ),
    ] = None
    depth: Annotated[
        int | None,
        typer.Option(
            metavar="8",
            help="Of more than 8 bits per channel read the upper 8. \\[default: such images are bad records]",
            rich_help_panel=READING,
        ),
    ] = None
    window: Annotated[
        str | None,
        typer.Option(
            metavar="LOW:HIGH",
            help="Of grey images of more than 8 bits read LOW as 0 and HIGH as 255, linearly in between.",
            rich_help_panel=READING,
        ),
    ] = None
    frame: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of animations and files of several pages read this one, from 0. \\[default: they are bad records]",
            rich_help_panel=READING,
        ),
    ] = None
    image_key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="With tfds, parquet: what to take as image.", rich_help_panel=READING
        ),
    ] = None
    label_key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="With tfds, parquet: what to take as label.", rich_help_panel=READING
        ),
    ] = None
    max_pixels: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Read images of at most so many pixels, height × width. \\[default: 67108864]",
            rich_help_panel=READING,
        ),
    ] = None
    max_members: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Read archives of at most so many files. \\[default: 2000000]",
            rich_help_panel=READING,
        ),
    ] = None
    max_unpacked_bytes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Unpack an archive to at most so many bytes. \\[default: 50 times its size, and 256 MiB in any case]",
            rich_help_panel=READING,
        ),
    ] = None

    def read_options(self) -> lpe.ReadOptions:
        """The values that they stand for. Raises UsageError for one that stands for none."""
        limits = {
            "pixels": self.max_pixels,
            "members": self.max_members,
            "unpacked_bytes": self.max_unpacked_bytes,
        }
        return lpe.ReadOptions(
            image_size=_parse_size(self.image_size),
            grey=self.grey,
            limits=lpe.Limits(**{name: limit for name, limit in limits.items() if limit is not None}),
            labels=self.labels,
            digest=self.digest.value,
            image_key=self.image_key,
            label_key=self.label_key,
            fit=self.fit,  # type: ignore[arg-type]  # checked there
            resample=self.resample,  # type: ignore[arg-type]  # likewise
            background=self.background,
            depth=self.depth,
            window=None if self.window is None else _parse_window(self.window),
            frame=self.frame,
        )

    def words(self) -> list[str]:
        """The options that were given, as words of a command line."""
        words = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                option = f"--{field.name.replace('_', '-')}"
                words += [option] if value is True else [option, shlex.quote(str(value))]
        return words

    def read_spec(
        self,
        source: str,
        validation_fraction: str | None = None,
        *,
        keep_ids: bool = False,
        data_key: str | None = None,
    ) -> lpe.ReadSpec:
        """The input that the options name, checked as far as it can be without reading it.

        Raises:
          UsageError: an option that stands for nothing, or options that do not go with the source.
          DataError: an unknown kind of source, or nothing at its path.
        """
        read = lpe.ReadSpec(source, self.read_options(), validation_fraction, keep_ids, data_key)
        checks.check_source(read)
        return read


AS_THEY_ARE = ImageOptions()
"""No option given."""


def takes_image_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of `ImageOptions` as options of its own, in the place of its `reading`."""
    fields = dataclasses.fields(ImageOptions)
    hints = typing.get_type_hints(command, include_extras=True)
    option_hints = typing.get_type_hints(ImageOptions, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name == _PARAMETER:
            parameters += [
                inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=field.default,
                    annotation=option_hints[field.name],
                )
                for field in fields
            ]
        else:
            parameters.append(
                parameter.replace(
                    kind=inspect.Parameter.KEYWORD_ONLY,
                    annotation=hints.get(parameter.name, parameter.annotation),
                )
            )

    @functools.wraps(command)
    def with_options(**values: typing.Any) -> None:
        reading = ImageOptions(**{field.name: values.pop(field.name) for field in fields})
        command(**values, **{_PARAMETER: reading})

    # Typer looks at these.
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _parse_size(text: str) -> ImageSize:
    if text in ("same", "any"):
        return "same" if text == "same" else "any"
    if match := re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", text):
        return int(match[1]), int(match[2] or match[1])
    raise UsageError(
        f"--image-size {text}: give same, any, 224, or HEIGHTxWIDTH such as 224x320{_size_hint(text)}"
    )


def _size_hint(text: str) -> str:
    if numbers := re.fullmatch(r"(\d+)(?:\D+(\d+))?", text):
        return f"; did you mean {numbers[1]}x{numbers[2] or numbers[1]}?"
    return did_you_mean(text, ["same", "any"])


def _parse_window(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        if colon:
            return float(low), float(high)
    except ValueError:
        pass
    raise UsageError(f"--window {text}: give LOW:HIGH, such as 0:4095 or -160:240")
