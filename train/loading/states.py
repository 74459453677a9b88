"""The state of a loop over shards, as PyTorch's StatefulDataLoader keeps it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.storage.documents import Fields
from lpe.transforms.errors import UsageError

_REMEDY = "load what `state_dict` gave"


@dataclasses.dataclass(frozen=True)
class Place:
    """A place in the sequence of all batches.

    Attributes:
      epoch: from 0.
      batch: the number of the next batch, of all in the epoch; with several workers, of the next that this one takes.
      worker: which one, where several take turns.
      workers: how many; 1 for a place of all of them.
    """

    epoch: int
    batch: int
    worker: int = 0
    workers: int = 1


def digest(dataset: Dataset, split: str) -> str:
    """What tells a split from others, without reading it: SHA-256 (hex) of all that was recorded of its shards."""
    recorded = dataset.shards(split)
    known = [shard.checksum for shard in recorded] if recorded is not None else []
    return hashlib.sha256(repr((dataset.splits[split].shard_lengths, known)).encode()).hexdigest()


def to_dict(place: Place, identity: Mapping[str, Any]) -> dict[str, Any]:
    """A state: the place, and what it belongs to."""
    return {**dataclasses.asdict(place), "of": dict(identity)}


def from_dict(state: Mapping[str, Any], identity: Mapping[str, Any]) -> Place:
    """The place in a state, which must belong to the same shards.

    Raises:
      UsageError: it does not, or is no state.
    """
    if not isinstance(state, Mapping) or not isinstance(state.get("of"), Mapping):
        raise UsageError(f"this is no state of Shards; {_REMEDY}")
    saved = state["of"]
    for name, value in identity.items():
        if saved.get(name) != value:
            raise UsageError(
                f"this state is of other shards: {name} is {saved.get(name)!a:.70} there, {value!a:.70} here; make "
                "Shards as they were, or start anew"
            )
    fields = Fields(state, "this state of Shards", _REMEDY, UsageError)
    fields.only(*(field.name for field in dataclasses.fields(Place)), "of")
    place = Place(*(fields.integer(field.name) for field in dataclasses.fields(Place)))
    if place.worker >= max(1, place.workers):
        fields.refuse(f"there is no worker {place.worker} of {place.workers}")
    return place
