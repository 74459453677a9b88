"""The schemes written literally from the formulas, one pixel at a time; slow on purpose."""

from __future__ import annotations

import math

import numpy as np

BLOCK = 4
ORDERS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]


def keystream(mu: float, d0: float, length: int) -> list[int]:
    """Equations 1 and 3."""
    d = d0
    out = []
    for _ in range(length):
        d = (mu * d) * (1.0 - d)
        out.append(math.floor(((d / 2.0) * 1e14) % 256))
    return out


def lpe(name: str, key, image: np.ndarray, params: dict[str, str]) -> np.ndarray:
    """Equations 2 and 4."""
    height, width, planes = image.shape
    n = height * width
    independent = params["channels"] == "independent"
    s = keystream(key.mu, key.d0, n * (planes if independent else 1))
    out = np.zeros_like(image)
    for c in range(planes):
        first = c * n if independent else 0
        before = 0
        for i in range(n):
            y, x = divmod(i, width)
            if params["chain"] == "row" and x == 0:
                before = 0
            p = int(image[y, x, c])
            if key.k[first + i]:
                value = s[first + i] ^ ((p + s[first + i]) % 256) ^ before
            elif name == "lpe-100":
                value = p ^ before
            else:
                value = p
            out[y, x, c] = before = value
    return out


def cpbe(name: str, key, image: np.ndarray, params: dict[str, str]) -> np.ndarray:
    height, width, planes = image.shape
    n = height * width
    independent = params["channels"] == "independent"
    s = keystream(key.mu, key.d0, n * (planes if independent else 1))
    out = image.copy()
    for c in range(planes):
        for i in range(n):
            y, x = divmod(i, width)
            at = i + (c * n if independent else 0)
            if name == "cpbe-100" or key.k[at]:
                out[y, x, c] = int(image[y, x, c]) ^ s[key.shuffle[at]]
    return out


def pbe(name: str, key, image: np.ndarray, params: dict[str, str]) -> np.ndarray:
    height, width, planes = image.shape
    out = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            pixel = [int(p) ^ 255 if m else int(p) for p, m in zip(image[y, x], key.mask[y, x], strict=True)]
            order = ORDERS[key.colour[y, x]] if params["colour"] == "true" else range(planes)
            out[y, x] = [pixel[channel] for channel in order]
    return out


def _blocks(image: np.ndarray) -> list[np.ndarray]:
    height, width, _ = image.shape
    return [
        image[y : y + BLOCK, x : x + BLOCK] for y in range(0, height, BLOCK) for x in range(0, width, BLOCK)
    ]


def _joined(blocks: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, np.uint8)
    for target, block in zip(_blocks(out), blocks, strict=True):
        target[...] = block
    return out


def _scramble(block: np.ndarray, order: np.ndarray, reverse: np.ndarray) -> np.ndarray:
    """LE's transformation of one block, as ciphers.md has it."""
    flat = [int(p) for p in block.reshape(-1)]
    d = len(flat)
    v = [p & 15 for p in flat] + [p >> 4 for p in flat]
    v = [15 - value if r else value for value, r in zip(v, reverse, strict=True)]
    v = [v[j] for j in order]
    v = [15 - value if r else value for value, r in zip(v, reverse, strict=True)]
    return np.array([(v[d + i] << 4) + v[i] for i in range(d)], np.uint8).reshape(block.shape)


def le(name: str, key, image: np.ndarray, params: dict[str, str]) -> np.ndarray:
    return _joined([_scramble(block, key.order, key.reverse) for block in _blocks(image)], image.shape)


def ele(name: str, key, image: np.ndarray, params: dict[str, str]) -> np.ndarray:
    scrambled = [
        _scramble(block, order, reverse)
        for block, order, reverse in zip(_blocks(image), key.orders, key.reverses, strict=True)
    ]
    return _joined([scrambled[j] for j in key.blocks], image.shape)


def etc(name: str, key, image: np.ndarray, params: dict[str, str]) -> np.ndarray:
    scrambled = []
    for j, block in enumerate(_blocks(image)):
        out = np.zeros_like(block)
        for y in range(BLOCK):
            for x in range(BLOCK):
                # Where the pixel that ends at (y, x) was: first undo the flip, then the turns.
                fy, fx = (
                    (BLOCK - 1 - y, x)
                    if key.flip[j] == 1
                    else (y, BLOCK - 1 - x)
                    if key.flip[j] == 2
                    else (y, x)
                )
                for _ in range(key.rotate[j]):
                    # A quarter turn counter-clockwise takes (y, x) to (b − 1 − x, y).
                    fy, fx = fx, BLOCK - 1 - fy
                pixel = [255 - int(p) if key.negative[j] else int(p) for p in block[fy, fx]]
                out[y, x] = [pixel[channel] for channel in ORDERS[key.colour[j]]]
        scrambled.append(out)
    return _joined([scrambled[j] for j in key.blocks], image.shape)


def vit_block(name: str, key, image: np.ndarray, params: dict[str, str]) -> np.ndarray:
    b = int(params["block"])
    height, width, planes = image.shape
    corners = [(y, x) for y in range(0, height, b) for x in range(0, width, b)]
    out = np.zeros_like(image)
    for j, (y, x) in enumerate(corners):
        before = key.blocks[j]
        own = before if params["inner"] == "own" else 0
        top, left = corners[before]
        flat = [
            int(image[top + r, left + c, plane])
            for r in range(b)
            for c in range(b)
            for plane in range(planes)
        ]
        for i in range(len(flat)):
            value = flat[key.orders[own, i]]
            if params["signs"] == "true" and key.negatives[own, i]:
                value = 255 - value
            r, c, plane = np.unravel_index(i, (b, b, planes))
            out[y + r, x + c, plane] = value
    return out


def plain(name: str, key, image: np.ndarray, params: dict[str, str]) -> np.ndarray:
    return image


SCHEMES = {
    "plain": plain,
    "le": le,
    "ele": ele,
    "etc": etc,
    "vit-block": vit_block,
    "pbe": pbe,
    "cpbe-50": cpbe,
    "cpbe-100": cpbe,
    "lpe-50": lpe,
    "lpe-100": lpe,
}
