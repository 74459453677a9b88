"""The options that `lpe ingest` and `lpe encrypt` need for what was found."""

from __future__ import annotations

import dataclasses

from lpe.pipeline.jobs.inspection.sizes import Sizes
from lpe.pipeline.jobs.inspection.survey import Survey
from lpe.pipeline.sources import split_uri
from lpe.pipeline.sources.plan import ReadSpec


@dataclasses.dataclass(frozen=True)
class Advice:
    """An option that is needed, or helps.

    Attributes:
      reason: what was found.
      options: what to pass, the usual choice first; more than one is a choice.
      needed: whether the job is refused without one of them.
    """

    reason: str
    options: tuple[str, ...]
    needed: bool

    def __str__(self) -> str:
        return f"{self.reason}: {' or '.join(self.options)}"


def advise(survey: Survey, sizes: Sizes | None, read: ReadSpec) -> tuple[Advice, ...]:
    """What to pass to `lpe ingest`, or to `lpe encrypt` where it reads the source itself.

    Args:
      survey: what was found.
      sizes: of the images; None if none is readable.
      read: the source, with the options that were given already.
    """
    if split_uri(read.source)[0] == "dataset":
        return ()  # that is read as it is
    given = read.options
    advice: list[Advice] = []

    def add(reason: str, *options: str, needed: bool = True) -> None:
        advice.append(Advice(reason, options, needed))

    if sizes is not None and sizes.distinct > 1 and given.image_size == "same":
        side = sizes.usual_side
        add(f"images have {sizes.distinct:,} sizes", f"--image-size {side}x{side}", "--image-size any")
    if survey.large:
        largest = sizes.largest[0] * sizes.largest[1] if sizes is not None else 0
        add(f"{survey.large:,} have more than {given.limits.pixels:,} pixels", f"--max-pixels {largest}")
    if bad := survey.unreadable.count + survey.refused.count:
        add(f"{bad:,} or more cannot be read", "--on-bad-record skip")
    if not given.grey and survey.modes and all(mode.endswith(("grey", "white")) for mode in survey.modes):
        add("all images are grey", "--grey", needed=False)
    if "train" in survey.splits and "validation" not in survey.splits:
        add("there is no validation split", "--validation-fraction 0.1", needed=False)
    return tuple(advice)
