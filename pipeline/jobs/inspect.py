"""inspect: what a source holds, and what ingesting and encrypting it will take, before anything is written."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from lpe.pipeline.engine.progress import Progress, Silent
from lpe.pipeline.jobs.inspection import duplicates, sheet
from lpe.pipeline.jobs.inspection.advice import Advice, advise, assume
from lpe.pipeline.jobs.inspection.classes import ClassCounts
from lpe.pipeline.jobs.inspection.duplicates import Duplicates
from lpe.pipeline.jobs.inspection.estimate import Estimate, estimates
from lpe.pipeline.jobs.inspection.sizes import Sizes, sizes_of
from lpe.pipeline.jobs.inspection.survey import Survey, survey
from lpe.pipeline.jobs.show import save
from lpe.pipeline.sources import open_source, split_uri
from lpe.pipeline.sources.base import Source
from lpe.pipeline.sources.plan import ReadSpec, check_options
from lpe.pipeline.sources.stored import DatasetSource
from lpe.transforms.tables import megabytes, properties_html


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found in a source.

    Attributes:
      source: its URI.
      name: a name for its dataset.
      found: what is known of its images.
      classes: how many images each class has.
      sizes: of the images; None if none is readable.
      duplicates: images that are there more than once.
      notes: what else the source says of itself: what was passed over.
      estimates: of ingesting and encrypting it.
      assumed: options that were added to those given, so that there is something to estimate.
      advice: options that `lpe ingest` and `lpe encrypt` need for it.
      output: the path of the contact sheet; None if none was asked for.
    """

    source: str
    name: str
    found: Survey
    classes: ClassCounts
    sizes: Sizes | None
    duplicates: Duplicates
    notes: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    assumed: tuple[str, ...]
    advice: tuple[Advice, ...]
    output: str | None

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        found = self.found
        stored = "in files" if found.encoded else "of pixels"
        rows = {
            "images": f"{self.classes.images:,} readable ones, {megabytes(found.bytes)} {stored}",
            "classes": str(self.classes),
            "sizes": str(self.sizes) if self.sizes is not None else "no readable image",
            "stored as": "\n".join(map(_listed, filter(None, (found.formats, found.modes)))),
        }
        if odd := self._odd():
            rows["odd ones"] = odd
        rows["unreadable"] = self._unreadable()
        rows["duplicates"] = "\n".join([str(self.duplicates), *self.duplicates.lines()])
        for estimate in self.estimates:
            rows[estimate.title] = str(estimate)
        if self.assumed:
            rows["(both with)"] = " ".join(self.assumed)
        if self.output is not None:
            rows["contact sheet"] = f"{self.output} (images as they are, not encrypted)"
        return rows

    def _odd(self) -> str:
        found = self.found
        kinds = {
            "not upright, by a flag": found.orientations.total(),
            "maybe transparent": found.transparent,
            "animated or of several pages": found.animated,
            "of more than 8 bits": found.deep,
            "too large": found.large,
        }
        return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)

    def _unreadable(self) -> str:
        found = self.found
        lines = [
            f"{found.unreadable.count:,}"
            + (" by their headers, which were all read" if found.encoded else "")
        ]
        lines += [f"{record.where}: {record.reason}" for record in found.unreadable.first]
        if found.decoded:
            lines.append(f"{found.refused.count:,} of {found.decoded:,} that were decoded, spread over all")
            lines += [f"{record.where}: {record.reason}" for record in found.refused.first]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return properties_html(f"inspect {self.source}", self.properties())

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        found = self.found
        return {
            "source": self.source,
            "images": self.classes.images,
            "splits": {split: sum(counts.values()) for split, counts in self.classes.by_split.items()},
            "classes": self.classes.by_split,
            "bytes": found.bytes,
            "sizes": self.sizes.to_json() if self.sizes is not None else None,
            "formats": dict(found.formats.most_common()),
            "modes": dict(found.modes.most_common()),
            "orientations": {str(flag): count for flag, count in sorted(found.orientations.items())},
            "transparent": found.transparent,
            "animated": found.animated,
            "deep": found.deep,
            "too_large": found.large,
            "unreadable": found.unreadable.to_json(),
            "decoded": {"images": found.decoded, "refused": found.refused.to_json()},
            "duplicates": self.duplicates.to_json(),
            "notes": list(self.notes),
            "assumed": list(self.assumed),
            "estimates": {estimate.job: estimate.to_json() for estimate in self.estimates},
            "advice": [dataclasses.asdict(advice) for advice in self.advice],
            "output": self.output,
        }


def inspect(
    read: ReadSpec, cipher: str = "lpe-100", output: str | None = None, progress: Progress | None = None
) -> Inspection:
    """Looks at all images of a source; writes nothing but a contact sheet, if one is asked for.

    Args:
      read: the source, and the options that it would be ingested with.
      cipher: the scheme whose encryption is estimated.
      output: the path of a PNG of some images of each class, as they are; None for none.
      progress: who follows; None for nobody.

    Raises:
      UsageError: an option does not go with the source, or an output that is no PNG.
      DataError: the source is missing, damaged, empty or an encrypted dataset.
      CipherError: an unknown scheme.
    """
    check_options(read)
    progress = progress or Silent()
    with _opened(read) as source:
        with progress.progress("inspect") as update:
            found = survey(source, read.options, update)
        progress.status("looking for duplicates, and measuring what it will take")
        again = duplicates.find(found, source)
        if output is not None:
            save(sheet.contact_sheet(found, source, read.options.limits), output)
        info = source.info
    sizes = sizes_of(found)
    options, assumed = assume(found, sizes, read.options)
    foreseen = (
        estimates(dataclasses.replace(read, options=options), cipher, sizes) if sizes is not None else ()
    )
    return Inspection(
        source=read.source,
        name=info.name,
        found=found,
        classes=ClassCounts.of(found),
        sizes=sizes,
        duplicates=again,
        notes=info.notes,
        estimates=foreseen,
        assumed=assumed,
        advice=advise(found, sizes, read),
        output=output,
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def _opened(read: ReadSpec) -> Source:
    """The source, opened so that images of every size can be read."""
    kind, place = split_uri(read.source)
    if kind == "dataset":
        return DatasetSource(place)
    if read.options.image_size != "same":
        return open_source(read.source, read.options)
    return open_source(read.source, dataclasses.replace(read.options, image_size="any"))
