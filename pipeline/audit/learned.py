"""Learned attacks: a small network that is shown ciphertexts and their images, and then ciphertexts alone.

With pairs under the attacked key it is a known-plaintext attack that knows nothing of the scheme. With pairs that the
attacker makes of other images under keys of their own, it needs nothing of the owner's but ciphertexts: what it then
restores is what leaks whatever the key is. (Image-to-image networks as in the inverse transformation attack.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lpe.pipeline.audit.scene import Scene, fresh_cipher
from lpe.train import backend
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target

_WIDTH = 24
_EPOCHS = 12
_KEYS = 6
"""Keys of the attacker's own, each for all images: more variety than pairs under one."""
_BATCH = 32


class Inversion(Attack):
    """A trained inverse; `own_keys` says whether its pairs are the attacker's own or the owner's."""

    adversary = "learned"
    source = "inverse transformation networks"
    learns = False

    def __init__(self, plain: np.ndarray, cipher: np.ndarray, *, own_keys: bool) -> None:
        self._pairs = (plain, cipher)
        self._own_keys = own_keys
        self.name = "network, own keys" if own_keys else "network, known pairs"  # type: ignore[misc]

    def applies_to(self, target: Target) -> bool:
        return target.cipher != "plain" and (self._own_keys or target.scope == "dataset")

    def learn(self, evidence: Evidence) -> Recovery:
        plain, cipher = self._pairs
        if self._own_keys:
            cipher = np.concatenate(
                [fresh_cipher(evidence.target, len(plain)).encrypt(plain) for _ in range(_KEYS)]
            )
            plain = np.concatenate([plain] * _KEYS)
        return Recovery(_trained(cipher, plain))


def attacks_on(scene: Scene) -> list[Attack]:
    """The learned attacks that are meant for an encryption. Raises UsageError if Keras is not installed."""
    both = [Inversion(scene.plain, scene.cipher, own_keys=own_keys) for own_keys in (True, False)]
    return [attack for attack in both if attack.applies_to(scene.target)]


def _trained(cipher: np.ndarray, plain: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A network that was trained to give `plain` for `cipher`, as a function of uint8 [N,H,W,C]."""
    keras = backend.load()
    keras.utils.set_random_seed(0)
    shape = plain.shape[1:]
    image = keras.Input(shape, dtype="uint8")
    # All eight bits of every byte, and of the byte before it: to undo a XOR chain takes no more.
    x = keras.layers.Lambda(_bits, output_shape=(*shape[:2], 16 * shape[2]))(image)
    for _ in range(3):
        x = keras.layers.Conv2D(_WIDTH, 3, padding="same", activation="relu")(x)
    out = keras.layers.Conv2D(shape[2], 1, activation="sigmoid")(x)
    model = keras.Model(image, out)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mae")
    model.fit(cipher, plain.astype(np.float32) / 255, batch_size=_BATCH, epochs=_EPOCHS, verbose=0)

    def restore(ciphertexts: np.ndarray) -> np.ndarray:
        found = model.predict(ciphertexts, batch_size=_BATCH, verbose=0)
        return np.asarray(found * 255 + 0.5, np.uint8)

    return restore


def _bits(images: Any) -> Any:
    ops = backend.load().ops
    values = ops.cast(images, "int32")
    values = ops.concatenate([values, ops.bitwise_xor(values, ops.roll(values, 1, axis=2))], axis=-1)
    planes = [ops.bitwise_and(ops.right_shift(values, bit), 1) for bit in range(8)]
    return ops.cast(ops.concatenate(planes, axis=-1), "float32") - 0.5
