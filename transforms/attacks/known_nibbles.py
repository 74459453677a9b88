"""Known-plaintext attack on le and ele: a nibble is recognised by its history.

A nibble of the plaintext takes some value in every known image (le: in every block of every image), and the
output nibble that it goes to takes the same values, or 15 minus each. Written with the first value below 8
both histories are the same. So sort the histories of both sides, and pair them off. The blocks of ele move:
a block is known by the sorted histories of its nibbles.

Where two nibbles have one history all orders of them fit, and one is as likely as the other. In le that is
rare even in one image, which holds 64 blocks; in ele neighbours agree in many images, most of all in their
high nibbles, where an exchange does little harm.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import blocks
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import MisfitError, known_pairs


class KnownNibbles(Attack):
    """About 2 pairs for le, 20 for ele.

    The recovered key: nibble i of output block j is nibble `source[j, i]` (int64 [B,2d]) of input block
    `blocks[j]` (int64 [B]), inverted where `flip[j, i]` is 1 (uint8 [B,2d]). The same for all j in le.
    """

    name = "known-nibbles"
    adversary = "known-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is le or ele with one key for the dataset."""
        return target.cipher in {"le", "ele"} and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Pairs off the histories of both sides.

        Raises:
          ValueError: the evidence has no known pairs.
          MisfitError: no key of the scheme fits them.
        """
        # uint8 [groups, 2d, length]: a group of nibbles has a key of its own.
        plain, cipher = (blocks.split_nibbles(images).transpose(1, 2, 0) for images in known_pairs(evidence))
        count = len(plain)
        if evidence.target.cipher == "le":
            plain, cipher = (
                side.transpose(1, 0, 2).reshape(1, side.shape[1], -1) for side in (plain, cipher)
            )
        plain, plain_flips = _canonical(plain)
        cipher, cipher_flips = _canonical(cipher)
        plain_order, cipher_order = (np.array([in_order(rows) for rows in side]) for side in (plain, cipher))
        plain_sorted = np.take_along_axis(plain, plain_order[..., None], axis=1)
        cipher_sorted = np.take_along_axis(cipher, cipher_order[..., None], axis=1)
        moved = np.empty(len(plain), np.int64)
        moved[in_order(cipher_sorted)] = in_order(plain_sorted)
        if (plain_sorted[moved] != cipher_sorted).any():
            raise MisfitError(f"no key of {evidence.target.cipher} fits the known pairs")
        source = np.empty_like(cipher_order)
        np.put_along_axis(source, cipher_order, plain_order[moved], axis=1)
        flip = np.take_along_axis(plain_flips[moved], source, axis=1) ^ cipher_flips
        if evidence.target.cipher == "le":
            moved, source, flip = np.arange(count), np.tile(source, (count, 1)), np.tile(flip, (count, 1))

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return blocks.unscramble_nibbles(ciphertexts, moved, source, flip * np.uint8(15))

        return Recovery(restore, {"blocks": moved, "source": source, "flip": flip})


def in_order(rows: np.ndarray) -> np.ndarray:
    """int64 [n]: the order that sorts arrays uint8 [n, ...] by their bytes."""
    content = [row.tobytes() for row in rows]
    return np.array(sorted(range(len(rows)), key=content.__getitem__))


def _canonical(histories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Histories (uint8 [..., length]) with a first value below 8, and whether they were inverted for that."""
    flips = (histories[..., 0] >= 8).astype(np.uint8)
    return histories ^ (flips * np.uint8(15))[..., None], flips
