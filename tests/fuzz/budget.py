"""How many inputs the tests in this folder try, and whether they are always the same ones.

LPE_FUZZ_INPUTS   inputs of the whole folder: 10,000 unless it is set, 100,000 in `make test-exhaustive`
LPE_FUZZ_SEED     a number that the inputs follow from; without it they are the same in every run

What a run finds stays: as an `@hypothesis.example` of the test, or as a test of its own.
"""

import os
from collections.abc import Callable

import hypothesis

INPUTS = int(os.environ.get("LPE_FUZZ_INPUTS", "10000"))
_SEED = os.environ.get("LPE_FUZZ_SEED")


def inputs(share: int) -> int:
    """How many inputs a test tries whose part of the whole is `share` thousandths."""
    return max(1, INPUTS * share // 1000)


def fuzz(share: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator for a property that is tried on `inputs(share)` inputs; it goes above `@hypothesis.given`."""
    settings = hypothesis.settings(
        max_examples=inputs(share),
        derandomize=_SEED is None,
        database=None,
        deadline=None,  # `trial` has a limit of its own
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        return settings(test if _SEED is None else hypothesis.seed(int(_SEED))(test))

    return decorate
