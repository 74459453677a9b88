"""The verdict on compared schemes, in words for those who have to answer for the images, not for cryptographers."""

from __future__ import annotations

from collections.abc import Sequence

from lpe.pipeline.compare.dominance import Better
from lpe.pipeline.compare.schemes import PLAIN
from lpe.pipeline.compare.table import Row

_NOT_ASKED = (
    "Whether the keys are worth anything was not asked: no control without a key was compared. Add some with "
    "--controls all."
)
_MEANING = (
    "Where a control beats a scheme, the key buys nothing: images with less in them, or as they are, without any "
    "encryption serve the network at least as well and show an attacker no more."
)
_AS_CAN_BE_TOLD = (
    "Where it says ≈, the control is as accurate as these networks and test images can tell; more networks (--seeds) "
    "tell more."
)
_NOT_SECURE = (
    "A scheme that is not beaten is not thereby secure: it was measured against these attacks and these controls, "
    "and no others."
)


def verdict(rows: Sequence[Row]) -> tuple[str, ...]:
    """What the figures mean, a few sentences.

    Args:
      rows: all of the comparison.
    """
    judged = [row for row in rows if row.beaten is not None]
    if all(row.scheme.needs_no_secret for row in rows):
        return ()
    if not judged:
        return (_NOT_ASKED,)
    by_psnr = {row.title: row.beaten.by_psnr for row in judged if row.beaten is not None}
    compared: list[Better | None] = [*by_psnr.values()]
    sentences = [
        f"{_how_many(by_psnr)} by a control without any key, which gives a network at least the same accuracy and an "
        f"attacker no better a picture{_which(by_psnr)}."
    ]
    measured = [row for row in judged if row.reidentification is not None]
    if measured:
        by_name = {row.title: row.beaten.by_reidentification for row in measured if row.beaten is not None}
        most = max(row.reidentification.candidates for row in measured if row.reidentification is not None)
        sentences.append(
            f"Asked instead how often an attacker who holds {most:,} photographs names the one that is behind a "
            f"released image (a guess: 1 in {most:,}), {_lower(_how_many(by_name))}{_which(by_name)}."
        )
        compared += by_name.values()
    if any(control is not None and not control.clear for control in compared):
        sentences.append(_AS_CAN_BE_TOLD)
    return (*sentences, _MEANING, _NOT_SECURE)


def _how_many(beaten: dict[str, Better | None]) -> str:
    count = sum(1 for control in beaten.values() if control is not None)
    if len(beaten) == 1:
        return "The one scheme is beaten" if count else "The one scheme is not beaten"
    if count in (0, len(beaten)):
        return f"{'All' if count else 'None'} of {len(beaten)} schemes {'are' if count else 'is'} beaten"
    return f"Of {len(beaten)} schemes {count} {'is' if count == 1 else 'are'} beaten"


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _which(beaten: dict[str, Better | None]) -> str:
    """Each beaten scheme with its control, then those that are not."""
    lost = [f"{title} by {_name(control)}" for title, control in beaten.items() if control is not None]
    left = [title for title, control in beaten.items() if control is None]
    parts = [", ".join(lost)] if lost else []
    if left and lost:
        parts.append(f"not beaten: {', '.join(left)}")
    return f" ({'; '.join(parts)})" if parts else ""


def _name(control: Better) -> str:
    return str(control).replace(PLAIN.title, "the plain images themselves")
