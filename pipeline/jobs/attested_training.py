"""train under a released data key: shards are opened in memory, and the model leaves encrypted to their owner."""

from __future__ import annotations

import dataclasses

from lpe.pipeline import storage
from lpe.pipeline.attestation.memory import work_directory
from lpe.pipeline.attestation.released_key import ReleasedKey
from lpe.pipeline.attestation.sealed_model import check_output, write_sealed_model
from lpe.train.loop import TrainResult, TrainSpec, fit
from lpe.train.progress import Progress, Status, unheard


def train_released(
    spec: TrainSpec,
    released: ReleasedKey,
    output: str,
    progress: Progress | None = None,
    status: Status = unheard,
) -> TrainResult:
    """Trains on a sealed dataset and writes one file, the model, which the dataset's owner alone can open.

    All that training writes lies on a tmpfs until then, and is gone with the process: one that is cut off begins anew.

    Args:
      spec: what to train; its `output` and `data_key` are not looked at.
      released: the dataset's data key.
      output: the sealed model's file, whose name ends in `.sealed`; it may be in a bucket.
      progress: as of `fit`.
      status: as of `fit`.

    Returns:
      The training's result, whose model is `output`.

    Raises:
      UsageError: the output exists, or as of `fit`.
      AttestationError: there is no tmpfs.
      DataError, KeyStoreError: as of `fit`.
    """
    check_output(output)
    with work_directory() as work:
        run = storage.join(work, "run")
        result = fit(dataclasses.replace(spec, output=run, data_key=released), progress, status)
        status("encrypting the model to its owner")
        write_sealed_model(run, released.offer, output)
    return dataclasses.replace(result, run=output, model=output)
