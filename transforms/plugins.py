"""Objects that other distributions offer by entry points: looked up by name, imported when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lpe.transforms.errors import CipherError, one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def offered(group: str) -> dict[str, list[EntryPoint]]:
    """The entry points of a group, by name in alphabetical order; several for a name that several distributions offer.

    Args:
      group: the group in the distributions' metadata, e.g. `lpe.ciphers`.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415  (slow to import, and seldom needed)

    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, origin(point))):
        same = found.setdefault(point.name, [])
        # A distribution may be found twice, say as a checkout and as installed.
        if not any((point.value, origin(point)) == (known.value, origin(known)) for known in same):
            same.append(point)
    return found


def origin(point: EntryPoint) -> str:
    """The name of the distribution that offers an entry point."""
    return "unknown distribution" if point.dist is None else point.dist.name


def load(points: list[EntryPoint]) -> Any:
    """Imports what the entry points of one name stand for.

    Raises:
      CipherError: it cannot be imported, or several distributions offer the name; the message names them.
    """
    point = points[0]
    if len(points) > 1:
        raise CipherError(
            f"{point.name} is offered by several distributions, {' and '.join(map(origin, points))}; keep one of them"
        )
    try:
        return point.load()
    except Exception as error:  # an import runs anything
        raise CipherError(
            f"{point.name}: {point.value} of the distribution {origin(point)} cannot be imported "
            f"({type(error).__name__}: {one_line(error)}); mend or uninstall it"
        ) from error
