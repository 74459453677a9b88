"""Install hints: what is named exists for how `lpe` was installed."""

from __future__ import annotations

import json

import pytest

from lpe.transforms.errors import UsageError
from lpe.transforms.extras import install_command, require, requirement


def test_a_checkout_is_installed_from_where_it_is(monkeypatch, tmp_path):
    assert install_command("audit") == "pip install -e '.[audit]'"
    root = str(tmp_path.cwd())
    monkeypatch.chdir(tmp_path)
    assert install_command("audit") == f"pip install -e '{root}[audit]'"


def test_what_is_missing_is_named_with_its_extra():
    with pytest.raises(
        UsageError, match=r"needs no_such_module .* extra audit: pip install -e '\.\[audit\]'"
    ):
        require("no_such_module.part", "audit")


@pytest.mark.parametrize(
    ("origin", "named"),
    [
        (None, "learnable-pixel-encryption[aws]"),
        ({"url": "file:///gone/lpe-1-py3-none-any.whl", "archive_info": {}}, "lpe-1-py3-none-any.whl[aws]"),
        (
            {"url": "https://example.org/lpe.whl", "archive_info": {}},
            "learnable-pixel-encryption[aws] @ https://example.org/lpe.whl",
        ),
        (
            {"url": "https://example.org/lpe", "vcs_info": {"vcs": "git", "commit_id": "0"}},
            "learnable-pixel-encryption[aws] @ git+https://example.org/lpe",
        ),
    ],
    ids=str,
)
def test_an_installation_is_extended_from_where_it_came(origin, named):
    assert requirement(None if origin is None else json.dumps(origin), "aws") == named


def test_a_wheel_that_is_still_there_is_named_by_its_path(tmp_path):
    wheel = tmp_path / "a wheel-1-py3-none-any.whl"
    wheel.touch()
    assert requirement(json.dumps({"url": wheel.as_uri(), "archive_info": {}}), "aws") == f"{wheel}[aws]"
