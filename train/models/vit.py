"""A small vision transformer (Dosovitskiy et al. 2021) whose patches are the cipher's blocks; 0.14 M parameters.

Positions are learned, so that an order of the blocks that is the same for all images costs nothing. Pre-normalised
blocks, the mean of all patches instead of a class token, and ReLU, which costs less than GELU and is in every ONNX.
"""

from __future__ import annotations

import keras
from keras import layers

from lpe.train.keras_types import Layer, Tensor
from lpe.train.models import patches
from lpe.transforms.errors import UsageError

_WIDTH = 64
_HEADS = 4
_DEPTH = 4
_EXPANSION = 2  # of the layer between two patches' attentions
_MOST_PATCHES = 1024


def trunk(features: keras.KerasTensor, patch: int) -> keras.KerasTensor:
    """Float [N, H, W, F], about -1..1 -> pooled features, float [N, 64].

    Args:
      features: the front end's output.
      patch: the side of a patch.

    Raises:
      UsageError: images that are not made of patches, or of more than 1,024, each of which looks at all others.
    """
    x = patches.embed(features, patch, _WIDTH, "vit")
    count = x.shape[1] * x.shape[2]
    if count > _MOST_PATCHES:
        raise UsageError(
            f"model vit takes at most {_MOST_PATCHES} patches, and images of {features.shape[1:]} have {count} of "
            f"{patch}×{patch}; use convmixer, or larger blocks"
        )
    x = Positions()(layers.Reshape((count, _WIDTH))(x))
    for _ in range(_DEPTH):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(_HEADS, _WIDTH // _HEADS)(y, y)])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(_EXPANSION * _WIDTH, activation="relu")(y)
        x = layers.Add()([x, layers.Dense(_WIDTH)(y)])
    return layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))


@keras.saving.register_keras_serializable("lpe.train")
class Positions(Layer):
    """Adds to each patch what is learned of its place: [N, P, F] -> the same."""

    def build(self, shape: tuple[int, ...]) -> None:
        """Makes a vector for each place."""
        self.places = self.add_weight(
            name="places", shape=tuple(shape[1:]), initializer=keras.initializers.RandomNormal(stddev=0.02)
        )

    def call(self, x: Tensor) -> Tensor:
        """The input, plus the places' vectors."""
        return x + self.places
