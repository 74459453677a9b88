"""Optional dependencies."""

from __future__ import annotations

import math
import sys

import pytest

from lpe.transforms.errors import UsageError
from lpe.transforms.extras import require


def test_a_module_that_is_there_is_given():
    assert require("math", "audit") is math


def test_one_that_is_not_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(UsageError, match=r"this needs skimage .*learnable-pixel-encryption\[audit\]"):
        require("skimage.metrics", "audit")
