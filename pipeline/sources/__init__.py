"""Where images come from: one file per kind, named by URI."""

from __future__ import annotations

from lpe.pipeline.sources.base import ReadOptions, Source
from lpe.transforms.errors import DataError

KINDS = {
    "cifar10": "CIFAR-10 through TFDS (= tfds:cifar10)",
    "tfds:NAME[/CONFIG]": "any TFDS dataset with an image and a label",
    "cifar:PATH": "the official CIFAR-10/100 archive, binary or python, .tar.gz or folder",
    "folder:PATH": "images in a directory per class, with or without split directories; also a .tar[.gz]",
    "dataset:DIR": "a dataset of lpe's or any TFDS directory",
    "synthetic:N": "N generated training images of ten classes",
}


def split_uri(uri: str) -> tuple[str, str]:
    """Kind and place of a source URI. Raises DataError if it is none."""
    if uri == "cifar10":
        return "tfds", "cifar10"
    kind, colon, place = uri.partition(":")
    if not colon or kind not in {name.partition(":")[0] for name in KINDS if ":" in name} or not place:
        raise DataError(f"unknown source {uri!r}; sources are {', '.join(KINDS)}")
    return kind, place


def open_source(uri: str, options: ReadOptions) -> Source:
    """Opens a source of raw images; `dataset:` URIs are opened by `lpe.pipeline.sources.plan`.

    Raises:
      DataError: the kind is unknown, or the source is missing, damaged or empty.
    """
    kind, place = split_uri(uri)
    # Each kind brings libraries that the others do without.
    if kind == "synthetic":
        from lpe.pipeline.sources.synthetic import SyntheticSource  # noqa: PLC0415

        if not place.isdecimal() or int(place) < 1:
            raise DataError(f"synthetic:{place}: N must be a whole number, at least 1")
        return SyntheticSource(int(place))
    if kind == "cifar":
        from lpe.pipeline.sources.cifar import CifarSource  # noqa: PLC0415

        return CifarSource(place)
    if kind == "folder":
        from lpe.pipeline.sources.folder import FolderSource  # noqa: PLC0415

        return FolderSource(place, options)
    if kind == "tfds":
        from lpe.pipeline.sources.tfds import TfdsSource  # noqa: PLC0415

        return TfdsSource(place, options)
    raise DataError(f"{uri}: this job needs raw images, not a dataset")
