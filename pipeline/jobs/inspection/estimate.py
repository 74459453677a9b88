"""What ingesting or encrypting a source would write and take."""

from __future__ import annotations

import dataclasses
from typing import Any

from lpe.pipeline.jobs.dry_run import Forecast, forecast_of, size_text, time_text
from lpe.pipeline.jobs.inspection.sizes import Sizes
from lpe.pipeline.jobs.spec import CipherChoice
from lpe.pipeline.records.bad_records import BadRecord
from lpe.pipeline.sources.plan import Plan, ReadSpec, open_plan
from lpe.transforms.errors import LpeError

_BATCH_BYTES = 1 << 26
_LEAST_IMAGES, _MOST_IMAGES = 8, 1024


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The forecast of a job, or why there is none.

    Attributes:
      job: `ingest` or `encrypt`.
      cipher: the scheme, for `encrypt`.
      forecast: measured on the first images; None if the job would be refused.
      refused: the line that it would be refused with.
    """

    job: str
    cipher: str | None
    forecast: Forecast | None
    refused: str = ""

    @property
    def title(self) -> str:
        """The job and its cipher."""
        return self.job if self.cipher is None else f"{self.job}, {self.cipher}"

    def __str__(self) -> str:
        if self.forecast is None:
            return f"would be refused: {self.refused}"
        foreseen = self.forecast
        return (
            f"{size_text(foreseen.bytes)} in {sum(split.shards for split in foreseen.splits.values()):,} shards; "
            f"{time_text(foreseen.core_seconds)} of one core ({foreseen.images_per_second:,.0f} images/s, measured "
            f"on {foreseen.sample:,})"
        )

    def to_json(self) -> dict[str, Any]:
        """The part of `--json`."""
        cipher = {} if self.cipher is None else {"cipher": self.cipher}
        if self.forecast is None:
            return {**cipher, "refused": self.refused}
        value = self.forecast.to_json()
        del value["dry_run"]
        return {**cipher, "bytes": self.forecast.bytes, **value}


def estimates(read: ReadSpec, cipher: str, sizes: Sizes) -> tuple[Estimate, ...]:
    """The estimates of ingesting, unless it is a dataset, and of encrypting a source.

    Args:
      read: the source.
      cipher: the scheme.
      sizes: of its images.
    """
    pixels = sizes.median[0] * sizes.median[1]
    batch_size = max(_LEAST_IMAGES, min(_MOST_IMAGES, _BATCH_BYTES // (3 * pixels)))
    jobs: dict[str, str | None] = {"ingest": None, "encrypt": cipher}
    try:
        with open_plan(read, digest=False) as plan:
            if plan.dataset is not None:
                del jobs["ingest"]
            return tuple(_estimate(job, plan, scheme, batch_size) for job, scheme in jobs.items())
    except LpeError as error:
        return tuple(Estimate(job, scheme, None, str(error)) for job, scheme in jobs.items())


def _estimate(job: str, plan: Plan, cipher: str | None, batch_size: int) -> Estimate:
    def pass_over(record: BadRecord) -> None:
        """The survey tells of those."""

    choice = None if cipher is None else CipherChoice(cipher)
    try:
        forecast = forecast_of(plan, choice, on_bad_record=pass_over, batch_size=batch_size)
    except LpeError as error:
        return Estimate(job, cipher, None, str(error))
    return Estimate(job, cipher, forecast)
