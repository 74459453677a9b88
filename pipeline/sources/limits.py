"""Limits on what reading a source may cost, however small the file is that asks for it."""

from __future__ import annotations

import dataclasses

from lpe.transforms.errors import UsageError

MOST_PIXELS = 1 << 26
"""Pixels of an image (height × width), e.g. 8192×8192: a few hundred megabytes once decoded."""
PIXELS_CEILING = 178_956_970
"""What `Limits.pixels` can be raised to: beyond it Pillow itself refuses an image."""
MOST_MEMBERS = 2_000_000
"""Files in an archive; each takes about 300 bytes of memory. ImageNet has 1.4 million."""
UNPACKED_RATIO = 50
"""How many times its size an archive may unpack to; images hardly compress, zeros a thousandfold."""
LEAST_UNPACKED_BYTES = 256 << 20
"""What any archive may unpack to, in bytes, whatever its ratio."""
MOST_HEADER_BYTES = 1 << 20
"""Bytes of one extended header of a .tar, which are read into memory: names, attributes."""
MOST_HEADERS = 16
"""Extended headers of one member of a .tar."""
MOST_NAME_BYTES = 4096
"""Bytes of a member's name: the longest path that Linux knows."""
MOST_CLASSES = 100_000
"""Classes of a source: ImageNet-21k has 21,841."""
MOST_PICKLE_BYTES = 256 << 20
"""Bytes of one of CIFAR's pickles; the largest, CIFAR-100's `train`, has 156 million."""
MOST_PICKLE_STEPS = 1_000_000
"""Instructions in one of CIFAR's pickles; the longest has about 350,000."""
MOST_CLASS_NAMES_BYTES = 1 << 20
"""Bytes of a file of class names."""
MOST_DIRECTORY_BYTES = 1 << 30
"""Bytes of the directory of a .zip, whose names are in memory: two million members take a quarter of that."""
MOST_TABLE_BYTES = 256 << 20
"""Bytes of a table of labels: a path and a label for each of a few million images."""
MOST_SCANS = 200
"""Scans of a progressive JPEG, each of which may pass over all pixels; cameras and tools write about ten."""
MOST_READS = 8
"""How many times its size may be read from an image file while it is decoded; a tag of a TIFF can name all of it."""
MOST_PROFILE_BYTES = 4 << 20
"""Bytes of a colour profile; those of printing presses have one or two million."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits that users may raise for files that they trust; they change no byte of the result.

    Attributes:
      pixels: of an image, at most `PIXELS_CEILING`.
      members: files in an archive.
      unpacked_bytes: what a compressed archive may unpack to; None for `UNPACKED_RATIO` times its size, or
        `LEAST_UNPACKED_BYTES` if that is more.

    Raises:
      UsageError: a limit is out of its range.
    """

    pixels: int = MOST_PIXELS
    members: int = MOST_MEMBERS
    unpacked_bytes: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.pixels <= PIXELS_CEILING:
            raise UsageError(f"--max-pixels {self.pixels}: give 1 to {PIXELS_CEILING}")
        if self.members < 1:
            raise UsageError(f"--max-members {self.members}: give at least 1")
        if self.unpacked_bytes is not None and self.unpacked_bytes < 1:
            raise UsageError(f"--max-unpacked-bytes {self.unpacked_bytes}: give at least 1")

    def unpacked(self, packed_bytes: int) -> int:
        """The bytes that an archive of `packed_bytes` may unpack to."""
        if self.unpacked_bytes is not None:
            return self.unpacked_bytes
        return max(LEAST_UNPACKED_BYTES, UNPACKED_RATIO * packed_bytes)


DEFAULT = Limits()
"""The limits as they are where none is raised."""
