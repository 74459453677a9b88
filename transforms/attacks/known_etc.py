"""Known-plaintext attack on etc: a block is recognised by its content.

A block can come out in 8 · 6 · 2 = 96 ways (`symmetries`). Its content over all known images, in the way of
the 96 that sorts first, is the same before and after encryption. So take that form of all blocks on both sides,
sort, and pair them off. One pair gives all blocks but those that are flat or symmetric.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import blocks
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import MisfitError, known_pairs
from lpe.transforms.attacks.known_nibbles import in_order
from lpe.transforms.attacks.symmetries import arrangements


class KnownEtc(Attack):
    """About 2 pairs.

    The recovered key: byte i of output block j is byte `source[j, i]` (int64 [B,d]) of input block
    `blocks[j]` (int64 [B]), inverted where `negative[j]` is 1 (uint8 [B]).
    """

    name = "known-etc"
    adversary = "known-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is etc with one key for the dataset."""
        return target.cipher == "etc" and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Pairs off the blocks of both sides.

        Raises:
          ValueError: the evidence has no known pairs.
          MisfitError: no key of the scheme fits them.
        """
        pairs = (blocks.split(images).transpose(1, 0, 2) for images in known_pairs(evidence))
        (plain, plain_from, plain_negative), (cipher, cipher_from, cipher_negative) = map(_canonical, pairs)
        moved = np.empty(len(plain), np.int64)
        moved[in_order(cipher)] = in_order(plain)
        if (plain[moved] != cipher).any():
            raise MisfitError("no key of etc fits the known pairs")
        source = np.empty_like(cipher_from)
        np.put_along_axis(source, cipher_from, plain_from[moved], axis=1)
        negative = plain_negative[moved] ^ cipher_negative
        mask = np.broadcast_to(negative[:, None] * np.uint8(255), source.shape)

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return blocks.unscramble_bytes(ciphertexts, moved, source, mask)

        return Recovery(restore, {"blocks": moved, "source": source, "negative": negative})


def _canonical(content: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The form of blocks (uint8 [B,M,d]) that sorts first, and what leads to it.

    Returns:
      The form, uint8 [B,M,d]; where its bytes come from, int64 [B,d]; whether it is inverted, uint8 [B].
    """
    ways = arrangements().reshape(-1, content.shape[2])
    best: list[tuple[bytes, int, int]] = []
    for block in content:
        for_block = (
            ((block[:, way] ^ np.uint8(255 * negative)).tobytes(), i, negative)
            for i, way in enumerate(ways)
            for negative in (0, 1)
        )
        best.append(min(for_block))
    source = ways[[i for _, i, _ in best]]
    negative = np.array([negative for _, _, negative in best], np.uint8)
    form = np.frombuffer(b"".join(form for form, _, _ in best), np.uint8).reshape(content.shape)
    return form, source, negative
