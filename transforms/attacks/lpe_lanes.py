"""The functions of lpe as an attacker sees them: a position's whole key is one byte.

With e_i = c_i ⊕ c_(i−1) where position i is linked, and e_i = c_i where it is not, a position's whole key is
a function of one byte, e = g_t(p) = t ⊕ ((p + t) mod 256), for t = k·(s mod 128) in 0..127: bit 7 of s
cancels out, and t = 0 is the identity. lpe-100 links all positions but the first of a plane (of a row, with
chain=row). lpe-50 links those with k_i = 1; where k_i = 0, c_i = p_i. So lpe-100 has 128 possibilities a
position, and lpe-50 one more.

A **lane** is one plane that went through a position's function. With channels=shared each channel of an
image is a lane of its own through the same n functions; with independent ones an image is one lane
through C·n functions. Lanes are uint8 [L,H,W,P], P = 1 or C.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks.base import Target

_T = np.arange(128, dtype=np.uint8)[:, None]
G: np.ndarray = _T ^ (np.arange(256, dtype=np.uint8) + _T)
"""The functions g_t(p), uint8 [128 t, 256 p]."""


def lanes(images: np.ndarray, target: Target) -> np.ndarray:
    """The lanes of uint8 [N,H,W,C], uint8 [L,H,W,P]: N·C lanes of one plane, or N of C planes."""
    if target.params["channels"] == "independent":
        return images
    count, height, width, channels = images.shape
    return images.transpose(0, 3, 1, 2).reshape(count * channels, height, width, 1)


def before(values: np.ndarray, target: Target) -> np.ndarray:
    """The ciphertext byte before each one in its chain, 0 where one starts; both uint8 [L,H,W,P]."""
    out = np.zeros_like(values)
    if target.params["chain"] == "row":
        out[:, :, 1:] = values[:, :, :-1]
    else:
        flat = values.reshape(len(values), -1, values.shape[3])
        out.reshape(flat.shape)[:, 1:] = flat[:, :-1]
    return out


def starts(target: Target) -> np.ndarray:
    """Where a chain starts, bool [H,W,1]."""
    out = np.zeros((*target.image_shape[:2], 1), bool)
    out[:1, :1] = True
    if target.params["chain"] == "row":
        out[:, :1] = True
    return out


def decrypt(ciphertexts: np.ndarray, t: np.ndarray, linked: np.ndarray, target: Target) -> np.ndarray:
    """Plaintext of uint8 [N,H,W,C] under t (uint8 [H,W,P]) and linked (bool [H,W,P])."""
    e = ciphertexts ^ np.where(linked, before(ciphertexts, target), np.uint8(0))
    return np.asarray((e ^ t) - t)
