"""Pairing of rows with columns at the least sum of costs: the linear assignment problem."""

from __future__ import annotations

import numpy as np


def cheapest(cost: np.ndarray) -> np.ndarray:
    """The column of each row, int64 [n], such that the sum of costs is least.

    Shortest augmenting paths, as in Jonker and Volgenant's algorithm, from a greedy start.

    Args:
      cost: float [n,n], finite.
    """
    cost = cost.astype(np.float64)
    count = len(cost)
    of_column = cost.min(axis=0)
    of_row = (cost - of_column).min(axis=1)
    row_of, column_of = np.full(count, -1), np.full(count, -1)
    for row, column in enumerate((cost - of_column).argmin(axis=1)):
        if row_of[column] < 0:
            row_of[column], column_of[row] = row, column
    for free in np.flatnonzero(column_of < 0):
        open_ = cost[free] - of_row[free] - of_column
        before, length = np.full(count, free), np.full(count, np.inf)
        while True:
            column = int(open_.argmin())
            length[column] = least = open_[column]
            open_[column] = np.inf
            row = row_of[column]
            if row < 0:
                break
            through = least + cost[row] - of_row[row] - of_column
            better = (through < open_) & np.isinf(length)
            open_[better] = through[better]
            before[better] = row
        length[column] = np.inf
        passed = np.flatnonzero(np.isfinite(length))
        of_row[row_of[passed]] += least - length[passed]
        of_column[passed] -= least - length[passed]
        of_row[free] += least
        while True:
            row = before[column]
            row_of[column] = row
            column_of[row], column = column, column_of[row]
            if row == free:
                break
    return column_of
