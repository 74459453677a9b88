"""Assignment of 48 values to their places in a 4×4 block of three channels, from their correlations alone.

In photographs the correlation of two values of a block depends on where they are: it falls with their
distance, and is lower between channels than within one. Let T be the usual correlations of the 48 places, A
those that were observed, and p[i] the place of value i. If the values were Gaussian, the likelihood of p would
be greatest where tr(A · P⁻¹) is least, P_ij = T_(p_i)(p_j). T cannot tell the views of a block apart (turned,
mirrored, red and blue exchanged), so p is found up to these.

The search climbs by the best exchange of two values, which one matrix product finds. Since T⁻¹ looks at next
neighbours only, it would be lost from far off: it begins with (T + αI)⁻¹ for large α, which is smooth (−T, up
to factors), and lowers α. It starts from the leading eigenvectors of A, of which (after the mean) two rise
along the block's sides, in some direction, and one along the colours. What is left are local optima, wrong as a
whole: a ring turned by one, a channel mirrored, rows exchanged, columns taken for colours. Kicks that do just
these things lead out of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lpe.transforms.attacks.symmetries import arrangements

PLACES = 48
"""The number of places: 4 rows, 4 columns, 3 channels."""
_SIDE = 4
_ROW, _COLUMN, _CHANNEL = np.unravel_index(np.arange(PLACES), (_SIDE, _SIDE, 3))
_DISTANCE = np.hypot(_ROW[:, None] - _ROW, _COLUMN[:, None] - _COLUMN)
_BETWEEN_CHANNELS = np.array([[1.0, 0.95, 0.85], [0.95, 1.0, 0.95], [0.85, 0.95, 1.0]])
USUAL: np.ndarray = _BETWEEN_CHANNELS[_CHANNEL[:, None], _CHANNEL] * np.exp(-0.08 * _DISTANCE**1.2)
"""T, float64 [48,48], roughly as in photographs of 32×32 pixels; the exact figures matter little."""

_SCORES = [-np.linalg.inv(USUAL + alpha * np.eye(PLACES)) for alpha in (10, 3, 1, 0.3, 0.1, 0.03)]
_ANGLES = 8
_KEPT = 4
_KICKS = 100
_KICK_SCORES = _SCORES[2:]
_TURNS = arrangements()[:, 0, ::3] // 3
"""The 8 symmetries of the block's 16 pixels."""
# A local optimum in which rows run on through the colours: which of 4 columns × 3 channels holds which.
_FOLD = np.array(
    [[(0, 0), (1, 0), (2, 0)], [(0, 1), (1, 1), (3, 0)], [(0, 2), (2, 1), (3, 1)], [(1, 2), (2, 2), (3, 2)]]
)
_RINGS = (np.array([0, 1, 2, 3, 7, 11, 15, 14, 13, 12, 8, 4]), np.array([5, 6, 10, 9]))


def places(correlations: np.ndarray) -> np.ndarray:
    """The place of each of 48 values, up to the symmetries of a block.

    Args:
      correlations: float64 [48,48], symmetric, with ones on the diagonal.

    Returns:
      int64 [48] of 0..47, in row, column, channel order; the same for the same correlations.
    """
    rng = np.random.default_rng(0)
    optima = sorted((_climb(correlations, start, _SCORES) for start in _starts(correlations)), key=_score)
    best: tuple[np.ndarray, float] | None = None
    for place, score in optima[::-1][:_KEPT]:
        for _ in range(_KICKS):
            tried, reached = _climb(correlations, _kick(place, rng), _KICK_SCORES)
            if reached >= score:
                place, score = tried, reached  # noqa: PLW2901
        if best is not None and abs(score - best[1]) < 1e-6:
            break  # two ways to the same optimum
        best = max(best or (place, score), (place, score), key=_score)
    assert best is not None
    return best[0]


def _score(optimum: tuple[np.ndarray, float]) -> float:
    return optimum[1]


def _climb(a: np.ndarray, start: np.ndarray, scores: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """Exchanges values as long as that raises Σ a_ij w_(p_i)(p_j), for each w of `scores` in turn."""
    p = start.copy()
    for w in scores:
        while True:
            moved = w[np.ix_(p, p)]
            product = a @ moved
            total, own = np.diag(product), np.diag(moved)
            # What exchanging p_i and p_j gains, halved; a has ones on its diagonal.
            gain = product + product.T - total[:, None] - total - (1 - a) * (2 * moved - own[:, None] - own)
            i, j = divmod(int(gain.argmax()), len(p))
            if gain[i, j] < 1e-9:
                break
            p[i], p[j] = p[j], p[i]
    return p, float((a * moved).sum())


def _starts(a: np.ndarray) -> Iterator[np.ndarray]:
    """Places from three eigenvectors of a: one ranks the colours, two, turned by some angle, the sides."""
    vectors = np.linalg.eigh(a)[1][:, ::-1]
    for colour in range(1, 6):
        first, second = [vectors[:, k] for k in range(1, 7) if k != colour][:2]
        for angle in np.arange(_ANGLES) * np.pi / _ANGLES:
            x = np.cos(angle) * first + np.sin(angle) * second
            y = np.cos(angle) * second - np.sin(angle) * first
            p = np.empty(PLACES, np.int64)
            by_colour = np.argsort(vectors[:, colour]).reshape(3, _SIDE * _SIDE)
            for channel, members in enumerate(by_colour):
                columns = members[np.argsort(x[members])].reshape(_SIDE, _SIDE)
                for column, values in enumerate(columns):
                    p[values[np.argsort(y[values])]] = (np.arange(_SIDE) * _SIDE + column) * 3 + channel
            yield p


def _kick(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another p, at a distance that no exchange of two values bridges: see the local optima, and plain disorder."""
    pixel, channel = p // 3, p % 3
    kind = rng.integers(6)
    if kind == 0:  # some values anywhere
        out = p.copy()
        some = rng.choice(PLACES, 10, replace=False)
        out[some] = rng.permutation(out[some])
    elif kind == 1:  # a channel turned or mirrored
        turned = _TURNS[rng.integers(1, 8)][pixel]
        out = np.where(channel == rng.integers(3), turned, pixel) * 3 + channel
    elif kind == 2:  # the rings turned
        to, steps = np.empty(_SIDE * _SIDE, np.int64), int(rng.integers(1, 12))
        for ring in _RINGS:
            to[ring] = np.roll(ring, round(steps * len(ring) / 12))
        out = to[pixel] * 3 + channel
    elif kind == 3:  # rows or columns exchanged
        grid = np.arange(_SIDE * _SIDE).reshape(_SIDE, _SIDE)[rng.permutation(_SIDE)]
        out = (grid if rng.integers(2) else grid.T).reshape(-1)[pixel] * 3 + channel
    elif kind == 4:  # columns folded into the colours, seen from any side
        pixel = _TURNS[rng.integers(8)][pixel]
        if rng.integers(2):
            channel = 2 - channel
        column, channel = _FOLD[pixel % _SIDE, channel].T
        out = (pixel // _SIDE * _SIDE + column) * 3 + channel
    else:  # channels exchanged on one side of a line
        row, column = pixel // _SIDE, pixel % _SIDE
        along = (row, column, row + column, row - column + _SIDE - 1)[rng.integers(4)]
        beyond = along >= rng.integers(1, along.max() + 1)
        out = pixel * 3 + np.where(beyond, rng.permutation(3)[channel], channel)
    return out
