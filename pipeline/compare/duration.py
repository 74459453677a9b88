"""An estimate of how long a comparison's networks take: from a benchmark before the first, then from those trained."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from lpe.pipeline import clock
from lpe.pipeline.compare.results import TrialResult
from lpe.pipeline.compare.trials import CompareSpec, Trial
from lpe.transforms.image_shape import ImageShape

_SECONDS = 0.18e-6
"""Of two CPU cores, for each value (height × width × channels) of an image of an epoch, with the network `cnn`."""
_TIMES = {"cnn": 1, "vit": 2.5, "convmixer": 2.5, "resnet18": 50}
_LARGEST = 400


def announcement(spec: CompareSpec, networks: Sequence[Trial], images: int, shape: ImageShape) -> str:
    """A line, before the work, about how long it will take.

    Args:
      spec: the comparison.
      networks: those to train.
      images: that each is trained on.
      shape: (H, W, C) of the images.
    """
    times = _TIMES.get(spec.model, _LARGEST)
    seconds = len(networks) * spec.epochs * images * math.prod(shape) * times * _SECONDS
    epochs = "1 epoch" if spec.epochs == 1 else f"{spec.epochs} epochs"
    return (
        f"{clock.about(seconds)} on two CPU cores: at most {len(networks)} networks of {epochs} on {images:,} images "
        f"of {'×'.join(map(str, shape))}; known better after the first"
    )


def left(finished: Sequence[TrialResult], networks: int, at_once: int) -> str:
    """How long so many networks will take, some at once, by those that are finished; empty for no network."""
    if not networks:
        return ""
    seconds = math.ceil(networks / at_once) * statistics.mean(result.seconds for result in finished)
    return f"; {clock.about(seconds)} left"
