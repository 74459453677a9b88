"""Sources of labelled images, one file per kind, named by URI."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from lpe.pipeline import storage
from lpe.pipeline.dataset import committed_versions
from lpe.pipeline.dataset.layout import INFO_FILE
from lpe.pipeline.sources.base import ReadOptions, Source
from lpe.pipeline.sources.cifar import CifarSource, is_cifar_folder
from lpe.pipeline.sources.folder import FolderSource
from lpe.pipeline.sources.synthetic import SyntheticSource
from lpe.pipeline.sources.tfds import TfdsSource
from lpe.transforms.errors import DataError

KINDS = {
    "cifar10": "CIFAR-10 through TFDS (= tfds:cifar10)",
    "tfds:NAME[/CONFIG][:VERSION]": "any TFDS dataset with an image and a label",
    "cifar:PATH": "the official CIFAR-10/100 archive, binary or python, .tar.gz or folder",
    "folder:PATH": "images in a directory per class, with or without split directories; also a .tar[.gz] or .zip",
    "parquet:GLOB": "Parquet files with images and labels, such as Hugging Face's",
    "dataset:DIR": "a dataset of lpe's or any TFDS directory",
    "synthetic:N": "N generated training images of ten classes",
}
"""The form of a URI -> what it names."""

KEYED = ("parquet", "tfds")
"""The kinds whose examples have features by name, so that the image and the label can be chosen among them."""

_WITH_PLACE = {form.partition(":")[0] for form in KINDS if ":" in form}


def split_uri(uri: str) -> tuple[str, str]:
    """Kind and place of a source URI. Raises DataError if it is none."""
    if uri == "cifar10":
        return "tfds", "cifar10"
    kind, colon, place = uri.partition(":")
    if not colon or kind not in _WITH_PLACE or not place:
        raise DataError(f"unknown source {uri!r}; sources are {', '.join(KINDS)}{_hint(uri)}")
    return kind, place


def kind_of(path: str) -> str | None:
    """The kind of source that a local path looks like: `dataset`, `cifar` or `folder`; None if nothing is there."""
    place = Path(path)
    if path and place.is_dir():
        if committed_versions(path) or (place / INFO_FILE).exists():
            return "dataset"
        return "cifar" if is_cifar_folder(os.listdir(path)) else "folder"  # noqa: PTH208  (names are enough)
    if place.is_file() and re.search(r"\.(tar|tgz|zip)(\.\w+)?$", place.name):
        return "cifar" if place.name.startswith("cifar-10") else "folder"
    return None


def _hint(uri: str) -> str:
    """The end of a message on what is no source: the one that may have been meant."""
    if storage.is_remote(uri):
        return f"; did you mean dataset:{uri} or folder:{uri}?"
    if (kind := kind_of(uri)) is not None:
        return f"; did you mean {kind}:{uri}?"
    kind, _, place = uri.partition(":")
    near = difflib.get_close_matches(kind.lower(), [*_WITH_PLACE, *([] if place else ["cifar10"])], 1)
    if not near:
        return ""
    return f"; did you mean {near[0] if near[0] == 'cifar10' else f'{near[0]}:{place}'}?"


def open_source(uri: str, options: ReadOptions) -> Source:
    """Opens a source of raw images; `dataset:` URIs are opened by `lpe.pipeline.sources.plan`.

    Raises:
      DataError: the kind is unknown, or the source is missing, damaged or empty.
      UsageError: TFDS is needed and not installed.
    """
    kind, place = split_uri(uri)
    if kind == "synthetic":
        if not place.isdecimal() or int(place) < 1:
            raise DataError(f"synthetic:{place}: N must be a whole number, at least 1")
        return SyntheticSource(int(place))
    if kind == "cifar":
        return CifarSource(place, options.limits)
    if kind == "folder":
        return FolderSource(place, options)
    if kind == "parquet":
        from lpe.pipeline.sources.parquet import ParquetSource  # noqa: PLC0415  (pyarrow is slow to import)

        return ParquetSource(place, options)
    if kind == "tfds":
        return TfdsSource(place, options)
    raise DataError(f"{uri}: this job needs raw images, not a dataset")
