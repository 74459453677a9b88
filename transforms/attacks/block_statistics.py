"""Ciphertext-only attack on vit-block: where a block's values belong shows in their correlations, and then the jigsaw.

All blocks of a dataset share one order and choice of signs (inner=shared), or each block has its own, the same in all
images (inner=own). So n images are n·B samples of one block's values, or n samples of each block's. Step by step:

1. Values of a block are correlated, inverted ones negatively: the leading eigenvector's signs undo that.
2. Where each value is in the block follows from how strong the correlations are, up to a view of the block
   (`assignment` for 4×4 blocks, `patches` for larger ones).
3. With inner=shared all blocks then lie alike, and only their layout is open (`alike`); with inner=own each block is
   left in one of the ways of etc, and `jigsaw` puts such blocks together. Edges are compared over all images.
4. That leaves one view of the whole dataset, which `photographs` chooses.

Chuman and Kiya attack single images of this family by jigsaw solvers (arXiv 2211.02369; Information 14(6):311, 2023),
with success where blocks are many; one key for many images makes it exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lpe.transforms.attacks import alike, assignment, blocks, jigsaw, patches, photographs
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.ciphers.vit_block import block_size
from lpe.transforms.image_shape import ImageShape

_MOST_SAMPLES = 1 << 15
"""More say no more."""
_FEWEST_SAMPLES = 16
"""With fewer samples correlations are chance."""
_ASSIGNED = 4
"""The side of the blocks that `assignment` is for."""
_THOROUGH = 128
"""Blocks that are read with all effort; with more, each gets its share of it."""
_TOGETHER = 256
"""Blocks that are read at once, which bounds the memory."""


class BlockStatistics(Attack):
    """Ten ciphertexts for blocks of 4×4, 30 for 8×8, some hundred for 16×16; of 3 channels.

    With inner=own each block of 4×4 needs some 30 ciphertexts; of larger ones only some blocks are read. What comes
    out is a mirror image half of the time.
    """

    name = "block-statistics"
    adversary = "ciphertext-only"
    leaves_open = "mirror"
    source = "ours; for the layout, after Chuman & Kiya's jigsaw attacks on ViT's schemes"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is vit-block with one key for the dataset, and images of 3 channels."""
        return target.cipher == "vit-block" and target.scope == "dataset" and target.image_shape[2] == 3

    def learn(self, evidence: Evidence) -> Recovery:
        """Reads the values of one block or of each, and puts the blocks together."""
        target = evidence.target
        return solve(evidence.ciphertexts, block_size(target.params), target.params["inner"] == "own")


def solve(ciphertexts: np.ndarray, side: int, own: bool) -> Recovery:
    """Restores images under one key, uint8 [N,H,W,3].

    Args:
      ciphertexts: those to learn from.
      side: of a block, in pixels.
      own: whether each block has its own order.
    """
    height, width, _ = shape = (*ciphertexts.shape[1:3], 3)
    content = blocks.split(ciphertexts, side)
    samples = content.transpose(1, 0, 2) if own else content.reshape(1, -1, content.shape[2])
    source, flip = _read(samples[:, :_MOST_SAMPLES], side)

    def to_blocks(images: np.ndarray) -> np.ndarray:
        split = blocks.split(images, side)
        plain = np.empty_like(split)
        plain[:, np.arange(split.shape[1])[:, None], source] = split ^ (flip * np.uint8(255))
        return plain

    if own:
        return jigsaw.puzzle(to_blocks, ciphertexts, shape, side)
    in_place = _laid_alike(to_blocks(ciphertexts), (height // side, width // side), shape, side)
    which = photographs.likeliest(in_place(to_blocks(ciphertexts)), photographs.all_views(shape))
    return Recovery(lambda images: photographs.view(in_place(to_blocks(images)), which))


def _laid_alike(
    content: np.ndarray, grid: tuple[int, int], shape: ImageShape, side: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A way from blocks that lie alike (uint8 [N,B,d]) to images, in some view: as they lie, or on their side."""
    square = content.reshape(*content.shape[:2], side, side, 3)
    best = min(
        ((*alike.assemble(square, room), room) for room in {grid, grid[::-1]}), key=lambda each: each[0]
    )
    _, order, room = best

    def join(blocks_: np.ndarray) -> np.ndarray:
        images = blocks.join(blocks_[:, order], (room[0] * side, room[1] * side, shape[2]), side)
        return images if room == grid else np.rot90(images, axes=(1, 2))

    return join


def _read(samples: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The place of each value of G blocks (int64 [G,d]), and which are inverted (uint8 [G,d]), up to a view of each.

    Args:
      samples: uint8 [G,L,d].
      side: of a block, in pixels.
    """
    parts = [_read_some(samples[at : at + _TOGETHER], side) for at in range(0, len(samples), _TOGETHER)]
    return np.concatenate([place for place, _ in parts]), np.concatenate([flip for _, flip in parts])


def _read_some(samples: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    count, length, size = samples.shape
    if length < _FEWEST_SAMPLES:
        return np.tile(np.arange(size), (count, 1)), np.zeros((count, size), np.uint8)
    place, flip = np.empty((count, size), np.int64), np.empty((count, size), np.uint8)
    upright = []
    for block, values in enumerate(samples):
        correlations = _correlations(values)
        inverted = np.linalg.eigh(correlations)[1][:, -1] < 0
        flip[block] = inverted
        signs = np.where(inverted, -1, 1)
        correlations *= signs[:, None] * signs
        if side == _ASSIGNED:
            upright.append(correlations)
        else:
            place[block] = patches.places(correlations, side)
    if upright:
        place[:] = assignment.places(np.stack(upright), min(1.0, _THOROUGH / count))
    return place, flip


def _correlations(values: np.ndarray) -> np.ndarray:
    """Between the values of uint8 [L,d], float64 [d,d], with ones on the diagonal."""
    apart = values.astype(np.float32)
    apart -= apart.mean(axis=0)
    spread = np.sqrt((apart**2).sum(axis=0))
    apart /= np.where(spread > 0, spread, 1)
    correlations = (apart.T @ apart).astype(np.float64)
    np.fill_diagonal(correlations, 1)
    return correlations
