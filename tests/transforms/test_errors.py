"""The tree at the head of `errors` is the hierarchy."""

from __future__ import annotations

import inspect
import re

from lpe.transforms import errors


def test_the_tree_that_is_drawn_is_the_hierarchy():
    drawn: dict[str, str] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r" {4}([│└├─ ]*)(\w+(?:Error|Exception))\b", line) or re.match(
            r" {4}()(Exception)$", line
        )
        if match:
            del branch[len(match[1]) // 4 :]
            if branch:
                drawn[match[2]] = branch[-1]
            branch.append(match[2])
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if error.__module__ == errors.__name__:
            assert drawn[name] == error.__bases__[0].__name__
    assert drawn["ShardsFailedError"] == "DataError"
    assert issubclass(errors.CipherError, ValueError)


def test_another_librarys_words_fit_on_one_line():
    assert errors.one_line(ValueError("a\n  b\tc")) == "a b c"
    assert errors.one_line(ValueError("\x1b[31m\x00")) == "?[31m?"
    assert errors.one_line(KeyError()) == "KeyError"
    assert errors.one_line("x" * 500, 120) == "x" * 120
