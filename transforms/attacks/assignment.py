"""Assignment of 48 values to their places in a 4×4 block of three channels, from their correlations alone.

In photographs the correlation of two values of a block depends on where they are: it falls with their
distance, and is lower between channels than within one. Let T be the usual correlations of the 48 places, A
those that were observed, and p[i] the place of value i. If the values were Gaussian, the likelihood of p would
be greatest where tr(A · P⁻¹) is least, P_ij = T_(p_i)(p_j). T cannot tell the views of a block apart (turned,
mirrored, red and blue exchanged), so p is found up to these.

The search climbs by the exchanges of two values that raise the score most, a few at once, which one matrix product
finds. Since T⁻¹ looks at next neighbours only, it would be lost from far off: it begins with (T + αI)⁻¹ for large
α, which is smooth (−T, up to factors), and lowers α. It starts from the leading eigenvectors of A, of which (after
the mean) two rise along the block's sides, in some direction, and one along the colours. What is left are local
optima, wrong as a whole: a ring turned by one, a channel mirrored, rows exchanged, columns taken for colours. Kicks
that do just these things lead out of them. Once two of the best starts have come to the same optimum, it is settled.

Many blocks are solved side by side: for one alone, calling NumPy would take longer than what it computes.
"""

from __future__ import annotations

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


def _without_diagonal(matrix: np.ndarray) -> np.ndarray:
    """A matrix with zeros on its diagonal, which adds the same to the score of every p: float32 [48·48]."""
    return np.asarray(matrix * (1 - np.eye(PLACES)), np.float32).reshape(-1)


_SCORES = [
    _without_diagonal(-np.linalg.inv(USUAL + alpha * np.eye(PLACES))) for alpha in (10, 3, 1, 0.3, 0.1, 0.03)
]
_KICK_SCORES = _SCORES[2:]
_ANGLES = 8
_PROMISING = 12
"""Starts that are followed to their optimum, of 5 · `_ANGLES`."""
_KEPT = 6
_KICKS = 100
_FEWEST_KICKS = 50
"""Kicks of each optimum kept, at most and at least."""
_ALIKE = 1e-3
"""Scores that differ by no more are of the same optimum; it is what float32 can tell."""
_TOGETHER = 32
"""Climbs side by side: more would not fit the processor's cache."""
_EXCHANGES = 4
_STEPS = 200
"""The most steps of a climb on one score, whose usual number is 5."""
_TURNS = arrangements()[:, 0, ::3] // 3
"""The 8 symmetries of the block's 16 pixels."""
# A local optimum in which rows run on through the colours: which of 4 columns × 3 channels holds which.
_FOLD = np.array(
    [[(0, 0), (1, 0), (2, 0)], [(0, 1), (1, 1), (3, 0)], [(0, 2), (2, 1), (3, 1)], [(1, 2), (2, 2), (3, 2)]]
)
_RINGS = (np.array([0, 1, 2, 3, 7, 11, 15, 14, 13, 12, 8, 4]), np.array([5, 6, 10, 9]))


def places(correlations: np.ndarray, effort: float = 1.0) -> np.ndarray:
    """The place of each of 48 values, up to the symmetries of a block, for each of G blocks.

    Args:
      correlations: float64 [G,48,48], symmetric, with ones on the diagonals.
      effort: how hard to look, as a fraction of the usual starts and kicks; with 0 any places do.

    Returns:
      int64 [G,48] of 0..47, in row, column, channel order; the same for the same correlations.
    """
    a = (correlations * (1 - np.eye(PLACES))).astype(np.float32)
    count, kicks = len(a), int(effort * _KICKS)
    if effort == 0:
        return np.tile(np.arange(PLACES), (count, 1))
    placed = _starts(correlations)
    if effort < 1:
        placed, _ = _best(placed, _scores(a, placed, _SCORES[0]), max(2, int(effort * placed.shape[1])))
    placed, score = _best(*_climbs(a, placed, _SCORES[:1]), max(1, int(effort * _PROMISING)))
    placed, score = _best(*_climbs(a, placed, _SCORES[1:]), _KEPT)
    rng = np.random.default_rng(0)
    unsettled = np.arange(count)
    for done in range(kicks):
        if done >= _FEWEST_KICKS:
            best = np.sort(score[unsettled], axis=1)[:, ::-1]
            unsettled = unsettled[best[:, 0] - best[:, 1] > _ALIKE * (1 + np.abs(best[:, 0]))]
        if not len(unsettled):
            break
        kick = np.stack([_kick(np.arange(PLACES), rng) for _ in range(placed.shape[1])])
        kicked = np.take_along_axis(
            np.broadcast_to(kick, (len(unsettled), *kick.shape)), placed[unsettled], axis=2
        )
        tried, reached = _climbs(a[unsettled], kicked, _KICK_SCORES)
        better = reached >= score[unsettled]
        placed[unsettled] = np.where(better[..., None], tried, placed[unsettled])
        score[unsettled] = np.where(better, reached, score[unsettled])
    return np.asarray(placed[np.arange(count), score.argmax(axis=1)])


def _best(placed: np.ndarray, score: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The best `count` of int64 [G,S,48] and of their scores [G,S]."""
    top = np.argsort(-score, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(placed, top[..., None], axis=1), np.take_along_axis(score, top, axis=1)


def _scores(a: np.ndarray, placed: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The scores Σ a_ij w_(p_i)(p_j) of int64 [G,S,48], float32 [G,S]."""
    out = np.empty(placed.shape[:2], np.float32)
    for start in range(placed.shape[1]):
        p = placed[:, start]
        out[:, start] = (a * w.take(p[:, :, None] * PLACES + p[:, None, :])).sum(axis=(1, 2))
    return out


def _climbs(a: np.ndarray, starts: np.ndarray, scores: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Climbs from S starts for each of G blocks (int64 [G,S,48]): where to, and the score there (float32 [G,S])."""
    placed = starts.reshape(-1, PLACES).copy()
    reached = np.empty(len(placed), np.float32)
    block = np.repeat(np.arange(len(a)), starts.shape[1])
    for at in range(0, len(placed), _TOGETHER):
        some = slice(at, at + _TOGETHER)
        for w in scores:
            reached[some] = _climb(a[block[some]], placed[some], w)
    return placed.reshape(starts.shape), reached.reshape(starts.shape[:2])


def _climb(a: np.ndarray, placed: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Exchanges values as long as that raises Σ a_ij w_(p_i)(p_j).

    Args:
      a: float32 [T,48,48], with zeros on the diagonals.
      placed: int64 [T,48], the p to start from; changed to where that leads.
      w: one of `_SCORES`.

    Returns:
      The scores reached, float32 [T].
    """
    reached = np.empty(len(a), np.float32)
    rest, p = np.arange(len(a)), placed.copy()
    before, cautious = np.full(len(a), -np.inf, np.float32), p
    for _ in range(_STEPS):
        moved = w.take(p[:, :, None] * PLACES + p[:, None, :])
        product = a @ moved
        score = np.trace(product, axis1=1, axis2=2)
        # Exchanges that were good each by itself may be bad together: take back all but the best one.
        bad = score <= before + _ALIKE
        if bad.any():
            p[bad] = cautious[bad]
            moved[bad] = w.take(p[bad][:, :, None] * PLACES + p[bad][:, None, :])
            product[bad] = a[bad] @ moved[bad]
            score = np.trace(product, axis1=1, axis2=2)
        # What exchanging p_i and p_j gains, halved.
        moved *= a
        moved += product
        moved -= product.diagonal(axis1=1, axis2=2)[:, None]
        gain = moved + moved.transpose(0, 2, 1)
        best = gain.reshape(len(gain), -1).max(axis=1)
        over = best <= _ALIKE
        if over.any():
            placed[rest[over]], reached[rest[over]] = p[over], score[over]
            rest, a, p, gain, best, score = (x[~over] for x in (rest, a, p, gain, best, score))
            if not len(rest):
                return reached
        before = score
        cautious = _exchange(p, gain, best)
    placed[rest], reached[rest] = p, score
    return reached


def _exchange(p: np.ndarray, gain: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Exchanges the pairs that gain most, no two of the same value; p with the best one alone."""
    row, flat = np.arange(len(p)), gain.reshape(len(p), -1)
    for exchange in range(_EXCHANGES):
        at = flat.argmax(axis=1)
        worth = flat[row, at] > np.maximum(_ALIKE, 0.3 * best)
        i, j = (np.where(worth, value, 0) for value in np.divmod(at, PLACES))
        p[row, i], p[row, j] = p[row, j], p[row, i]
        if exchange == 0:
            cautious = p.copy()
        gain[row, i] = gain[row, j] = gain[row, :, i] = gain[row, :, j] = -1
    return cautious


def _starts(a: np.ndarray) -> np.ndarray:
    """Places from three eigenvectors of each a: one ranks the colours, two, turned by some angle, the sides.

    Returns:
      int64 [G,S,48].
    """
    vectors = np.linalg.eigh(a)[1][:, :, ::-1]
    count = len(a)
    out = []
    for colour in range(1, 6):
        first, second = [vectors[:, :, k] for k in range(1, 7) if k != colour][:2]
        by_colour = np.argsort(vectors[:, :, colour], axis=1).reshape(count, 3, _SIDE * _SIDE)
        for angle in np.arange(_ANGLES) * np.pi / _ANGLES:
            x = np.cos(angle) * first + np.sin(angle) * second
            y = np.cos(angle) * second - np.sin(angle) * first
            columns = _sorted_by(x, by_colour).reshape(count, 3, _SIDE, _SIDE)
            values = _sorted_by(y, columns)  # by channel, column and row
            p = np.empty((count, PLACES), np.int64)
            at = _BY_CHANNEL.reshape(-1)
            np.put_along_axis(p, values.reshape(count, -1), np.broadcast_to(at, p.shape), axis=1)
            out.append(p)
    return np.stack(out, axis=1)


_BY_CHANNEL = np.arange(PLACES).reshape(_SIDE, _SIDE, 3).transpose(2, 1, 0)
"""The places by channel, column and row."""


def _sorted_by(key: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The members (int64 [G,...]) in the order of their keys (float64 [G,48]) along the last axis."""
    values = np.take_along_axis(key, members.reshape(len(key), -1), axis=1).reshape(members.shape)
    return np.take_along_axis(members, np.argsort(values, axis=-1), axis=-1)


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
