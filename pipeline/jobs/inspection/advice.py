"""The options that `lpe ingest` and `lpe encrypt` need for what was found."""

from __future__ import annotations

import dataclasses
from typing import Any

from lpe.pipeline.jobs.inspection.sizes import Sizes
from lpe.pipeline.jobs.inspection.survey import BACKGROUND, Survey
from lpe.pipeline.sources import split_uri
from lpe.pipeline.sources.base import ReadOptions
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
        add(f"images have {sizes.distinct:,} sizes", f"--image-size {sizes.usual_side}", "--image-size any")
    if survey.transparent and given.background is None:
        add(f"{survey.transparent:,} may be transparent", f"--background {BACKGROUND}")
    if survey.deep and given.depth is None and given.window is None:
        add(f"{survey.deep:,} have more than 8 bits", *_for_depth(survey))
    if survey.animated and given.frame is None:
        add(f"{survey.animated:,} have several frames or pages", "--frame 0")
    if survey.large and sizes is not None:
        add(
            f"{survey.large:,} have more than {given.limits.pixels:,} pixels, the largest {sizes.largest[0]}x"
            f"{sizes.largest[1]}",
            f"--max-pixels {sizes.largest[0] * sizes.largest[1]}",
        )
    if bad := survey.unreadable.count + survey.refused.count:
        more = " or more" if survey.refused.count else ""
        add(f"{bad:,}{more} cannot be read", "--on-bad-record skip")
    if not given.grey and survey.modes and all(mode.endswith(("grey", "white")) for mode in survey.modes):
        add("all images are grey", "--grey", needed=False)
    if "train" in survey.splits and "validation" not in survey.splits:
        add("there is no validation split", "--validation-fraction 0.1", needed=False)
    return tuple(advice)


def assume(survey: Survey, sizes: Sizes | None, options: ReadOptions) -> tuple[ReadOptions, tuple[str, ...]]:
    """The options with those added without which images would be refused that can be read, and what was added."""
    added: dict[str, Any] = {}
    if sizes is not None and sizes.distinct > 1 and options.image_size == "same":
        added["image_size"] = "any"
    if survey.transparent and options.background is None:
        added["background"] = BACKGROUND
    if survey.deep and options.depth is None and options.window is None:
        added["depth"] = 8
    if survey.animated and options.frame is None:
        added["frame"] = 0
    words = tuple(f"--{name.replace('_', '-')} {value}" for name, value in added.items())
    return dataclasses.replace(options, **added), words


def _for_depth(survey: Survey) -> tuple[str, ...]:
    """The options for images of more than 8 bits: by the values that they have, which may be far fewer."""
    low, high = survey.grey_range
    if not low < high:
        return ("--depth 8",)
    window = f"--window {low:.10g}:{high:.10g}"
    grey_alone = all("grey" in mode for mode in survey.modes if "-bit" in mode)
    return (window, "--depth 8") if grey_alone else ("--depth 8", window)
