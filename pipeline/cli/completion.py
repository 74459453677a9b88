"""What a shell may complete as values of options; nothing here imports Beam or Keras."""

from __future__ import annotations

from collections.abc import Iterable

import lpe
from lpe.train import recipes


def complete_cipher(incomplete: str) -> list[str]:
    """The schemes."""
    return _starting_with(incomplete, lpe.ciphers.names())


def complete_ciphers(incomplete: str) -> list[str]:
    """The schemes, after those that are named already, and `all`."""
    done, comma, last = incomplete.rpartition(",")
    names = lpe.ciphers.names() if comma else ["all", *lpe.ciphers.names()]
    return [f"{done}{comma}{name}" for name in _starting_with(last, names)]


def complete_source(incomplete: str) -> list[str]:
    """The kinds of source; what follows the colon is the shell's to complete."""
    from lpe.pipeline.sources import KINDS  # noqa: PLC0415  (takes a while, which only a completion should)

    kinds = dict.fromkeys(form.partition(":")[0] + ":" * (":" in form) for form in KINDS)
    return _starting_with(incomplete, kinds)


def complete_model(incomplete: str) -> list[str]:
    """The networks."""
    from lpe.train import models  # noqa: PLC0415  (NumPy)

    return _starting_with(incomplete, models.names())


def complete_front_end(incomplete: str) -> list[str]:
    """The front ends, and their parts after a +."""
    from lpe.train import front_ends  # noqa: PLC0415  (NumPy)

    done, plus, last = incomplete.rpartition("+")
    names = front_ends.names() if plus else [front_ends.AUTO, *front_ends.names()]
    return [
        f"{done}{plus}{name}" for name in _starting_with(last, names) if not plus or name != front_ends.NONE
    ]


def complete_recipe(incomplete: str) -> list[str]:
    """The recipes."""
    return _starting_with(incomplete, recipes.RECIPES)


def complete_image_size(incomplete: str) -> list[str]:
    """The words for a size, and two usual ones."""
    return _starting_with(incomplete, ["same", "any", "32", "224"])


def complete_fit(incomplete: str) -> list[str]:
    """What is done with another aspect."""
    return _starting_with(incomplete, ["crop", "stretch"])


def complete_resampling(incomplete: str) -> list[str]:
    """The filters."""
    return _starting_with(incomplete, ["lanczos", "bilinear", "box"])


def complete_precision(incomplete: str) -> list[str]:
    """What can be computed in."""
    from lpe.train import backend  # noqa: PLC0415  (NumPy is not needed for a command that trains nothing)

    return _starting_with(incomplete, backend.PRECISIONS)


def complete_adversary(incomplete: str) -> list[str]:
    """Who attacks."""
    from lpe.pipeline.audit.attacking import ADVERSARIES  # noqa: PLC0415  (NumPy)

    return _starting_with(incomplete, ["all", *ADVERSARIES])


def _starting_with(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
