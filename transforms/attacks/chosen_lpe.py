"""Chosen-plaintext attack on lpe: the grey images 85 and 170, or one colour image that holds both.

One value p gives at most 34 different g_t(p) over the 128 t (p = 85; see `lpe_lanes`), so two values are
needed, and g_t(85), g_t(170) together tell all 128 apart. With channels=shared a colour image sends
three values through a function at once: one query. Both counts are optimal for lpe-100.

lpe-50 hides also which positions are linked. Look at lowest bits, which no key changes: bit(c_i) is
bit(p_i) ⊕ bit(c_(i−1)) if linked, else bit(p_i). So a lane with bit(c_(i−1)) = 1 tells. Of two lanes that
swap 85 and 170, bits 1 and 0, in turns, few positions see 0 before them in both and also
equal bytes. For these a further lane is made from what is known: 170 where linked, 85 elsewhere. Then
bit(c_i) = 1 everywhere, as 0 ⊕ 1 or 1, up to where a wrong guess is made; the first open position is
settled for certain, all others nearly always. So three grey images, and a fourth in far less than one key of
a thousand; with shared channels the third lane travels in the first image, and one or two colour images do.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import lpe_lanes
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import MisfitError, ask
from lpe.transforms.image_shape import ImageShape

_PAIR = (85, 170)
_NONE = 255
_T_OF_PAIR = np.full((256, 256), _NONE, np.uint8)
"""The t by g_t(85) and g_t(170), uint8 [256,256]; 255 where there is none."""
_T_OF_PAIR[lpe_lanes.G[:, _PAIR[0]], lpe_lanes.G[:, _PAIR[1]]] = np.arange(128)


class ChosenLpe(Attack):
    """1 or 2 chosen images for lpe-100, about 3 for lpe-50; any shape, all parameters.

    The recovered key, all that ever matters of it: `t` uint8 [H,W,P] of 0..127, P = 1 or C; `linked` bool
    [H,W,P], whether the position is XORed with the one before (false where a chain starts).
    """

    name = "chosen-lpe"
    adversary = "chosen-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is lpe-100 or lpe-50, with one key for the dataset."""
        return target.cipher in {"lpe-50", "lpe-100"} and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Asks for images of 85 and 170 until no position is open.

        Raises:
          ValueError: the evidence has no oracle.
          MisfitError: the oracle's answers are none that the scheme can give.
        """
        target = evidence.target
        height, width, channels = target.image_shape
        several = target.params["channels"] == "shared" and channels > 1
        chosen = _first_images(target.image_shape, several)
        plain, cipher = (lpe_lanes.lanes(images, target) for images in (chosen, ask(evidence, chosen)))
        queries = len(chosen)
        while True:
            t, linked, is_open = _solve(plain, cipher, target)
            if not is_open.any():
                break
            further = np.where(linked, np.uint8(170), np.uint8(85))
            image = np.broadcast_to(further, (1, height, width, channels))
            plain = np.concatenate([plain, lpe_lanes.lanes(image, target)])
            cipher = np.concatenate([cipher, lpe_lanes.lanes(ask(evidence, image), target)])
            queries += 1
        return Recovery(
            lambda ciphertexts: lpe_lanes.decrypt(ciphertexts, t, linked, target),
            {"t": t, "linked": linked},
            queries,
        )


def _first_images(shape: ImageShape, several: bool) -> np.ndarray:
    """85 and 170 in turns along the scan: two grey images, or one whose channels take turns and then are random."""
    height, width, channels = shape
    turns = (np.arange(height * width) & 1).reshape(height, width, 1)
    boards = np.concatenate([turns, 1 - turns], axis=2)
    if several:
        rest = np.random.default_rng(0).integers(0, 2, (height, width, channels - 2))
        images = np.concatenate([boards, rest], axis=2)[None]
    else:
        images = np.broadcast_to(boards.transpose(2, 0, 1)[..., None], (2, height, width, channels))
    return np.asarray(np.array(_PAIR, np.uint8)[images])


def _solve(
    plain: np.ndarray, cipher: np.ndarray, target: Target
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The key t, linked, and what is still open ([H,W,P] each), from lanes, of which the first two swap 85 and 170."""
    e = cipher ^ lpe_lanes.before(cipher, target)
    first_is_85 = plain[0] == _PAIR[0]
    t = _T_OF_PAIR[np.where(first_is_85, e[0], e[1]), np.where(first_is_85, e[1], e[0])]
    fits_linked = (t != _NONE) & (lpe_lanes.G[t & 127, plain] == e).all(axis=0)
    fits_unlinked = (plain == cipher).all(axis=0)
    if target.cipher == "lpe-100":
        fits_unlinked[...] = False
    fits_unlinked &= ~lpe_lanes.starts(target)
    if not (fits_linked | fits_unlinked).all():
        raise MisfitError(f"the oracle's answers are none that {target.cipher} can give")
    t = np.where(fits_linked & ~fits_unlinked, t, 0)
    linked = fits_linked & ~fits_unlinked & ~lpe_lanes.starts(target)
    return t, linked, fits_linked & fits_unlinked
