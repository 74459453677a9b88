"""Known-plaintext attack on vit-block: a value is recognised by its history, a block by those of its values.

The values that a place of a block takes in the known images are the same before and after encryption, or 255 minus
each; written with a first value below 128 both histories are the same. So a block is known by the sorted histories of
its values. With inner=own the values of a block are then paired off by their histories. With inner=shared a value's
history runs through all blocks that only one other is like, and one image is enough; blocks that are alike (white and
black ones, say) are told apart once the order is known.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import blocks
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import MisfitError, known_pairs
from lpe.transforms.attacks.known_nibbles import in_order
from lpe.transforms.ciphers.vit_block import block_size


class KnownVit(Attack):
    """One pair with inner=shared, some 20 with inner=own.

    The recovered key: value i of output block j is value `source[j, i]` (int64 [B,d]) of input block
    `blocks[j]` (int64 [B]), inverted where `negative[j, i]` is 1 (uint8 [B,d]).
    """

    name = "known-vit-block"
    adversary = "known-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is vit-block with one key for the dataset."""
        return target.cipher == "vit-block" and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Pairs off the blocks and the values of both sides.

        Raises:
          ValueError: the evidence has no known pairs.
          MisfitError: no key of the scheme fits them.
        """
        side = block_size(evidence.target.params)
        # uint8 [B,d,M]: the histories of each block's values.
        plain, cipher = (blocks.split(images, side).transpose(1, 2, 0) for images in known_pairs(evidence))
        plain_like, cipher_like = (_sorted_histories(histories) for histories in (plain, cipher))
        plain_order, cipher_order = in_order(plain_like), in_order(cipher_like)
        if (plain_like[plain_order] != cipher_like[cipher_order]).any():
            raise MisfitError("no key of vit-block fits the known pairs")
        count = len(plain)
        if evidence.target.params["inner"] == "shared":
            alone = _alone(plain_like[plain_order])
            through = (
                (side_[order[alone]] if alone.any() else side_[order])
                for side_, order in ((plain, plain_order), (cipher, cipher_order))
            )
            source, negative = _paired(
                *(side_.swapaxes(0, 1).reshape(1, side_.shape[1], -1) for side_ in through)
            )
            source, negative = np.tile(source, (count, 1)), np.tile(negative, (count, 1))
            upright = np.empty_like(cipher)
            upright[:, source[0]] = cipher ^ (negative[0] * np.uint8(255))[:, None]
            plain_order = in_order(np.concatenate([plain_like, plain], axis=1))
            cipher_order = in_order(np.concatenate([cipher_like, upright], axis=1))
        moved = np.empty(count, np.int64)
        moved[cipher_order] = plain_order
        if evidence.target.params["inner"] == "own":
            source, negative = _paired(plain[moved], cipher)
        mask = negative * np.uint8(255)

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return blocks.unscramble_bytes(ciphertexts, moved, source, mask, side)

        return Recovery(restore, {"blocks": moved, "source": source, "negative": negative})


def _canonical(histories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Histories (uint8 [..., length]) with a first value below 128, and whether they were inverted for that."""
    inverted = (histories[..., 0] > 127).astype(np.uint8)
    return histories ^ (inverted * np.uint8(255))[..., None], inverted


def _sorted_histories(histories: np.ndarray) -> np.ndarray:
    """The histories of each block's values, uint8 [B,d,M], each as it is or inverted, in a certain order."""
    canonical, _ = _canonical(histories)
    return np.stack([rows[in_order(rows)] for rows in canonical])


def _alone(rows: np.ndarray) -> np.ndarray:
    """Which of sorted rows [n, ...] are unlike those beside them."""
    same = (rows[1:] == rows[:-1]).reshape(len(rows) - 1, -1).all(axis=1)
    return np.asarray(~(np.append(same, False) | np.append(False, same)))


def _paired(plain: np.ndarray, cipher: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where values come from, int64 [G,d], and whether they are inverted, uint8 [G,d], by histories uint8 [G,d,M]."""
    (plain, plain_inverted), (cipher, cipher_inverted) = _canonical(plain), _canonical(cipher)
    source = np.empty(cipher.shape[:2], np.int64)
    for group in range(len(source)):
        source[group, in_order(cipher[group])] = in_order(plain[group])
    return source, np.take_along_axis(plain_inverted, source, axis=1) ^ cipher_inverted
