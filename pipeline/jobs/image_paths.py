"""Image files by their paths, the folders that they are in, and patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from lpe.pipeline.sources.image_formats import SUFFIXES
from lpe.transforms.errors import DataError

_MOST_LISTED = 20


def image_paths(words: Sequence[str]) -> list[str]:
    """The image files that words name, in their order.

    Args:
      words: each a file; a folder, of which all image files are taken, in all folders below, sorted; or a pattern such
        as `photos/**/*.png`, whose image files are taken sorted.

    Raises:
      DataError: files that are missing, all of them at once, or a folder or pattern without image files.
    """
    paths: list[str] = []
    missing: list[str] = []
    for word in words:
        if Path(word).is_dir():
            found = _image_files(path for path in Path(word).rglob("*") if not _is_hidden(path, word))
        elif Path(word).exists() or not glob.has_magic(word):
            found = [word]
            if not Path(word).exists():
                missing.append(f"{word}: no such file")
        else:
            found = _image_files(map(Path, glob.iglob(word, recursive=True)))  # noqa: PTH207  (absolute ones too)
        if not found:
            raise DataError(
                f"{word}: no image files there ({', '.join(sorted(SUFFIXES))}); check the path, or name the files"
            )
        paths += found
    if missing:
        raise DataError(f"{listed(missing)}; check the path{'s' if len(missing) > 1 else ''}")
    return paths


def listed(problems: Sequence[str]) -> str:
    """Problems of files on one line: the first twenty, and how many more there are."""
    if len(problems) == 1:
        return problems[0]
    more = f"; and {len(problems) - _MOST_LISTED:,} more" if len(problems) > _MOST_LISTED else ""
    return f"{len(problems):,} files cannot be read: {'; '.join(problems[:_MOST_LISTED])}{more}"


def _image_files(paths: Iterable[Path]) -> list[str]:
    """Those that are image files by their name, sorted."""
    return sorted(str(path) for path in paths if path.suffix.lower() in SUFFIXES and path.is_file())


def _is_hidden(path: Path, folder: str) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
