"""Learned attacks: a small network that is shown ciphertexts and their images, and then ciphertexts alone.

With pairs under the attacked key it is a known-plaintext attack that knows nothing of the scheme. With pairs that the
attacker makes of other images under keys of their own, it needs nothing of the owner's but ciphertexts: what it then
restores is what leaks whatever the key is. (Image-to-image networks as in the inverse transformation attack.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lpe.pipeline.audit.experiment import Experiment, fresh_cipher
from lpe.train import backend
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target

_WIDTH = 24
_EPOCHS = 12
_KEYS = 6
"""Keys of the attacker's own, each for all images: more variety than pairs under one."""
_BATCH = 32


class _Inversion(Attack):
    """An inverse of the encryption, trained on images and their ciphertexts.

    Args:
      plain: uint8 [N, H, W, C].
      encrypted: their ciphertexts under the attacked key.
    """

    adversary = "learned"
    source = "inverse transformation networks"
    learns = False

    def __init__(self, plain: np.ndarray, encrypted: np.ndarray) -> None:
        self._plain = plain
        self._encrypted = encrypted


class KnownPairs(_Inversion):
    """A network trained on the owner's images and their ciphertexts under the attacked key."""

    name = "network, known pairs"
    knows_pairs = True

    def applies_to(self, target: Target) -> bool:
        """Whether there is a key that the network can learn."""
        return target.cipher != "plain" and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Trains the network."""
        return Recovery(_trained(self._encrypted, self._plain))


class OwnKeys(_Inversion):
    """A network trained on images that the attacker encrypted under keys of their own."""

    name = "network, own keys"

    def applies_to(self, target: Target) -> bool:
        """Whether there is an encryption at all."""
        return target.cipher != "plain"

    def learn(self, evidence: Evidence) -> Recovery:
        """Encrypts the images under fresh keys and trains the network."""
        encrypted = [
            fresh_cipher(evidence.target, len(self._plain)).encrypt(self._plain) for _ in range(_KEYS)
        ]
        return Recovery(_trained(np.concatenate(encrypted), np.concatenate([self._plain] * _KEYS)))


def attacks_on(experiment: Experiment) -> list[Attack]:
    """The learned attacks that are meant for an encryption; their `learn` raises UsageError without Keras."""
    both = [attack(experiment.plain, experiment.encrypted) for attack in (OwnKeys, KnownPairs)]
    return [attack for attack in both if attack.applies_to(experiment.target)]


def _trained(encrypted: np.ndarray, plain: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A network that was trained to give `plain` for `encrypted`, as a function of uint8 [N, H, W, C]."""
    keras = backend.load()
    keras.utils.set_random_seed(0)
    height, width, channels = plain.shape[1:]
    image = keras.Input((height, width, channels), dtype="uint8")
    # All eight bits of every byte, and of the byte before it: to undo a XOR chain takes no more.
    x = keras.layers.Lambda(_bits, output_shape=(height, width, 16 * channels))(image)
    for _ in range(3):
        x = keras.layers.Conv2D(_WIDTH, 3, padding="same", activation="relu")(x)
    out = keras.layers.Conv2D(channels, 1, activation="sigmoid")(x)
    model = keras.Model(image, out)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mae")
    model.fit(encrypted, plain.astype(np.float32) / 255, batch_size=_BATCH, epochs=_EPOCHS, verbose=0)

    def restore(ciphertexts: np.ndarray) -> np.ndarray:
        estimate = model.predict(ciphertexts, batch_size=_BATCH, verbose=0)
        return np.asarray(estimate * 255 + 0.5, np.uint8)

    return restore


def _bits(images: Any) -> Any:
    """Tensors of uint8 [N, H, W, C] -> the bits of each byte and of its XOR with the one before, [N, H, W, 16·C]."""
    ops = backend.load().ops
    values = ops.cast(images, "int32")
    values = ops.concatenate([values, ops.bitwise_xor(values, ops.roll(values, 1, axis=2))], axis=-1)
    planes = [ops.bitwise_and(ops.right_shift(values, bit), 1) for bit in range(8)]
    return ops.cast(ops.concatenate(planes, axis=-1), "float32") - 0.5
