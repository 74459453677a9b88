"""The note of a job whose ciphertexts show outlines of the images to the eye, and of what hides them."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lpe.pipeline.encryption.reduction import Reduce
from lpe.pipeline.jobs.spec import CipherChoice
from lpe.pipeline.sources.plan import Plan
from lpe.pipeline.sources.task import SliceReader
from lpe.transforms import ciphers
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.errors import CipherError, DataError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.keyed import Scope
from lpe.transforms.visibility import Visibility, visibility

_IMAGES = 6
_PIXELS = 1 << 19
"""No more images than come to so many pixels."""
_SIDE = 512
"""Of larger images the middle is taken, which shows no more than the whole."""
_BLOCK = 16
_INDEPENDENT = {"channels": "independent"}
_STRONGER: dict[str, tuple[str, Mapping[str, str]]] = {
    "lpe-50": ("lpe-100", {}),
    "cpbe-50": ("cpbe-100", _INDEPENDENT),
    "cpbe-100": ("cpbe-100", _INDEPENDENT),
}
"""What is tried first instead of a scheme: one that is nearest to it."""
_OTHERS: tuple[tuple[str, Mapping[str, str]], ...] = (("ele", {}), ("etc", {}), ("cpbe-100", _INDEPENDENT))


def outlines_note(plan: Plan, choice: CipherChoice, reduce: Reduce | None = None) -> tuple[str, ...]:
    """A line that says that outlines stay visible, and which scheme hides them; none where they do not.

    It is measured on the first images, under keys that are thrown away. A seal hides all of an image, and `plain` is
    not meant to hide any.

    Args:
      plan: reads the plain images, before they are reduced.
      choice: how they are encrypted.
      reduce: how they are reduced before that; None for not at all.
    """
    if choice.seal or choice.name == "plain":
        return ()
    try:
        images = _first_images(plan, whole=reduce is not None)
    except DataError:  # which the job itself reports
        return ()
    if not images:
        return ()
    reduced = images if reduce is None else [reduce(image[np.newaxis])[0] for image in images]
    sample = _Sample(images, reduced, choice.scope)
    found = sample.seen(choice.name, choice.params)
    if not found.visible:
        return ()
    size = "" if plan.image_shape is None else f" at {plan.image_shape[0]}x{plan.image_shape[1]} pixels"
    what = (
        "the images are plain to see"
        if found.seen == "plain to see"
        else "outlines of the images stay visible"
    )
    return (
        f"{what} under {choice.name}{size} (correlation of blurred images and ciphertexts "
        f"{found.correlation:.2f}, by chance {found.floor:.2f}); {_remedy(sample, choice)}",
    )


@dataclasses.dataclass(frozen=True)
class _Sample:
    """Images that schemes are tried on.

    Attributes:
      plain: uint8 [H, W, C] each.
      reduced: the same, as they are encrypted.
      scope: what each key is for.
    """

    plain: Sequence[np.ndarray]
    reduced: Sequence[np.ndarray]
    scope: Scope

    def seen(self, name: str, params: Mapping[str, str]) -> Visibility:
        """What eyes see of them under a scheme. Raises CipherError if it does not admit their shape."""
        secret = secrets.token_bytes(SECRET_BYTES)
        settings: dict[str, Any] = dict(params)
        by_shape: dict[ImageShape, ciphers.Cipher] = {}
        encrypted = []
        for image in self.reduced:
            batch = image[np.newaxis]
            shape = image_shape_of(batch)
            if self.scope == "image":
                secret, by_shape = secrets.token_bytes(SECRET_BYTES), {}
            if shape not in by_shape:
                by_shape[shape] = ciphers.create(name, secrets=[secret], image_shape=shape, **settings)
            encrypted.append(by_shape[shape].encrypt(batch)[0])
        return visibility(encrypted, self.plain)


def _remedy(sample: _Sample, choice: CipherChoice) -> str:
    nearest = [_STRONGER[choice.name]] if choice.name in _STRONGER else []
    for name, params in (*nearest, *_OTHERS):
        try:
            hidden = not sample.seen(name, params).visible
        except CipherError:  # it does not admit their shape
            continue
        if hidden:
            options = "".join(f" --param {param}={value}" for param, value in params.items())
            return f"--cipher {name}{options} hides them from the eye"
    return "none of the schemes tried instead hides them"


def _first_images(plan: Plan, *, whole: bool) -> list[np.ndarray]:
    """Some images of a plan, uint8 [H, W, C] each. Raises DataError where the input is damaged."""
    images: list[np.ndarray] = []
    for image in _images(plan):
        images.append(image if whole else _middle(image))
        if len(images) == _IMAGES or sum(image.shape[0] * image.shape[1] for image in images) >= _PIXELS:
            break
    return images


def _images(plan: Plan) -> Iterator[np.ndarray]:
    for task in plan.tasks:
        reader = task.reader
        if isinstance(reader, SliceReader):
            reader = dataclasses.replace(reader, batch_size=_IMAGES)
        for batch in reader.batches(lambda record: None):
            yield from batch.images


def _middle(image: np.ndarray) -> np.ndarray:
    """The middle of a large image, whose sides are divisible by what the image's are."""
    parts = []
    for side in image.shape[:2]:
        kept = min(side, _SIDE + side % _BLOCK)
        parts.append(slice((side - kept) // 2, (side - kept) // 2 + kept))
    return np.ascontiguousarray(image[tuple(parts)])
