"""Sources of labelled images, one file per kind, named by URI."""

from __future__ import annotations

from lpe.pipeline.sources.base import ReadOptions, Source
from lpe.pipeline.sources.cifar import CifarSource
from lpe.pipeline.sources.folder import FolderSource
from lpe.pipeline.sources.synthetic import SyntheticSource
from lpe.pipeline.sources.tfds import TfdsSource
from lpe.transforms.errors import DataError

KINDS = {
    "cifar10": "CIFAR-10 through TFDS (= tfds:cifar10)",
    "tfds:NAME[/CONFIG]": "any TFDS dataset with an image and a label",
    "cifar:PATH": "the official CIFAR-10/100 archive, binary or python, .tar.gz or folder",
    "folder:PATH": "images in a directory per class, with or without split directories; also a .tar[.gz]",
    "dataset:DIR": "a dataset of lpe's or any TFDS directory",
    "synthetic:N": "N generated training images of ten classes",
}
"""The form of a URI -> what it names."""


def split_uri(uri: str) -> tuple[str, str]:
    """Kind and place of a source URI. Raises DataError if it is none."""
    if uri == "cifar10":
        return "tfds", "cifar10"
    kind, colon, place = uri.partition(":")
    if not colon or kind not in {form.partition(":")[0] for form in KINDS if ":" in form} or not place:
        raise DataError(f"unknown source {uri!r}; sources are {', '.join(KINDS)}")
    return kind, place


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
    if kind == "tfds":
        return TfdsSource(place, options)
    raise DataError(f"{uri}: this job needs raw images, not a dataset")
