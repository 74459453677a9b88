"""The ciphers as Beam transforms, per image, for pipelines of your own.

Keys are pulled in `setup()`, on the worker; the pipeline graph holds only where they are.
"""

# No `from __future__ import annotations` here: Beam reads the annotations of process_batch as types.
import dataclasses
from collections.abc import Iterator
from typing import Literal

import apache_beam as beam
import numpy as np

from lpe.transforms.batch import ImageBatch
from lpe.transforms.keyed import CipherSpec, KeyedCipher, KeySource


@dataclasses.dataclass(frozen=True)
class Example:
    """One labelled image: its id (unique in the dataset), uint8 [H, W, C], class index."""

    id: str
    image: np.ndarray
    label: int


class CipherDoFn(beam.DoFn):
    """Encrypts or decrypts examples one by one (`process`) or many at once (`process_batch`).

    Args:
      spec: cipher, parameters, salt, key scope.
      key: where the key is; opened in `setup()`.
      direction: which way.
    """

    def __init__(self, spec: CipherSpec, key: KeySource, direction: Literal["encrypt", "decrypt"]) -> None:
        self._spec = spec
        self._key = key
        self._direction = direction

    def setup(self) -> None:
        cipher = KeyedCipher(self._spec, self._key.open())
        self._function = cipher.encrypt if self._direction == "encrypt" else cipher.decrypt

    def process(self, element: Example) -> Iterator[Example]:
        yield from self._apply([element])

    def process_batch(self, batch: list[Example]) -> Iterator[list[Example]]:
        yield self._apply(batch)

    def infer_output_type(self, input_type: object) -> type[Example]:
        return Example

    def _apply(self, examples: list[Example]) -> list[Example]:
        """Images of one shape go through the cipher together; the order stays."""
        places: dict[tuple[int, ...], list[int]] = {}
        for place, example in enumerate(examples):
            places.setdefault(example.image.shape, []).append(place)
        out = list(examples)
        for indices in places.values():
            batch = ImageBatch(
                [examples[i].id for i in indices],
                np.stack([examples[i].image for i in indices]),
                np.array([examples[i].label for i in indices], np.int64),
            )
            for i, image in zip(indices, self._function(batch).images, strict=True):
                out[i] = dataclasses.replace(examples[i], image=image)
        return out


class EncryptImages(beam.PTransform):
    """PCollection[Example] -> PCollection[Example] with every image encrypted.

    Args:
      spec: cipher, parameters, salt, key scope.
      key: where the key is, e.g. `lpe.pipeline.keystore.KeyRef`.
    """

    def __init__(self, spec: CipherSpec, key: KeySource) -> None:
        super().__init__()
        self._spec = spec
        self._key = key

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        return examples | "Encrypt" >> beam.ParDo(CipherDoFn(self._spec, self._key, "encrypt"))


class DecryptImages(beam.PTransform):
    """PCollection[Example] -> PCollection[Example]; the inverse of `EncryptImages`, same arguments."""

    def __init__(self, spec: CipherSpec, key: KeySource) -> None:
        super().__init__()
        self._spec = spec
        self._key = key

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        return examples | "Decrypt" >> beam.ParDo(CipherDoFn(self._spec, self._key, "decrypt"))
