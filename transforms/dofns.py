"""The ciphers as Beam transforms, image by image, for pipelines of your own.

    examples | EncryptImages(CipherSpec("lpe-100", salt="my dataset"), KeyRef("keys/", "patients"))

Keys are fetched in `setup()`, on the worker; the pipeline's graph holds only where they are.
"""

# No `from __future__ import annotations` here: Beam reads the annotations of process_batch as types.
import dataclasses
from collections.abc import Callable, Iterator
from typing import Literal

import apache_beam as beam
import numpy as np

from lpe.transforms.batch import ImageBatch
from lpe.transforms.keyed import CipherSpec, KeyedCipher, KeySource


@dataclasses.dataclass(frozen=True)
class Example:
    """One labelled image.

    Attributes:
      id: unique in the dataset; with key scope `image` it determines the image's key.
      image: uint8 [H, W, C].
      label: class index, 0-based.
    """

    id: str
    image: np.ndarray
    label: int


class CipherDoFn(beam.DoFn):  # type: ignore[misc, unused-ignore]  # Beam is not typed
    """Encrypts or decrypts examples one by one (`process`) or many at once (`process_batch`).

    Ids and labels stay, as does the order; an element is not changed, its image is replaced in a copy. Both ways give
    the same bytes. An image that the scheme does not admit, by shape or type, raises CipherError or ValueError.

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
        """Fetches the key and makes the cipher, once for each instance; errors are the key store's."""
        cipher = KeyedCipher(self._spec, self._key.open())
        self._function: Callable[[ImageBatch], ImageBatch] = (
            cipher.encrypt if self._direction == "encrypt" else cipher.decrypt
        )

    def process(self, element: Example) -> Iterator[Example]:
        """One example."""
        yield from self._apply([element])

    def process_batch(self, batch: list[Example]) -> Iterator[list[Example]]:
        """Many examples, of any shapes."""
        yield self._apply(batch)

    def infer_output_type(self, input_type: object) -> type[Example]:
        """An `Example` for each element."""
        return Example

    def _apply(self, examples: list[Example]) -> list[Example]:
        """Images of one shape go through the cipher together; the order stays."""
        indices_by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, example in enumerate(examples):
            indices_by_shape.setdefault(example.image.shape, []).append(index)
        out = list(examples)
        for indices in indices_by_shape.values():
            batch = ImageBatch(
                [examples[i].id for i in indices],
                np.stack([examples[i].image for i in indices]),
                np.array([examples[i].label for i in indices], np.int64),
            )
            for i, image in zip(indices, self._function(batch).images, strict=True):
                out[i] = dataclasses.replace(examples[i], image=image)
        return out


class EncryptImages(beam.PTransform):  # type: ignore[misc, unused-ignore]  # Beam is not typed
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
        """Applies the cipher to each example."""
        return examples | "Encrypt" >> beam.ParDo(CipherDoFn(self._spec, self._key, "encrypt"))


class DecryptImages(beam.PTransform):  # type: ignore[misc, unused-ignore]  # Beam is not typed
    """PCollection[Example] -> PCollection[Example] with every image decrypted; the inverse of `EncryptImages`.

    Args:
      spec: cipher, parameters, salt and key scope, as at encryption.
      key: where the key is.
    """

    def __init__(self, spec: CipherSpec, key: KeySource) -> None:
        super().__init__()
        self._spec = spec
        self._key = key

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        """Applies the cipher's inverse to each example."""
        return examples | "Decrypt" >> beam.ParDo(CipherDoFn(self._spec, self._key, "decrypt"))
