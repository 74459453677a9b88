"""Pages as a headless Chromium lays them out."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_WORDS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
_MEASURE = """onload = () => {
  const widths = [...document.querySelectorAll("iframe")].map(
    frame => frame.contentDocument.documentElement.scrollWidth);
  document.body.textContent = JSON.stringify(widths);
}"""
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: the page is not looked at"
)


def chromium(profile: Path, *words: str) -> str:
    """Standard output of Chromium with a fresh profile."""
    command = [str(CHROMIUM), *_WORDS, f"--user-data-dir={profile}", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=90).stdout


def layout_widths(pages: list[Path], place: Path, widths: tuple[int, ...] = (360, 1280)) -> list[list[int]]:
    """How wide the content of each page is in windows of these widths: as wide, unless the page must be scrolled."""
    # A window is never as narrow as a telephone; a frame is.
    frames = "".join(
        f'<iframe width="{width}" height="600" style="border: 0" srcdoc="{html.escape(page.read_text())}"></iframe>'
        for page in pages
        for width in widths
    )
    (place / "frames.html").write_text(f"<!doctype html><script>{_MEASURE}</script><body>{frames}")
    dumped = chromium(place / "profile", "--dump-dom", f"file://{place}/frames.html")
    (found,) = re.findall(r"\[[\d,]+\]", dumped)
    measured = json.loads(found)
    return [measured[i : i + len(widths)] for i in range(0, len(measured), len(widths))]


def assert_stands_alone(page: str) -> None:
    """Nothing in a page is fetched or run."""
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)[^"']*""", page)
    assert not re.findall(r"<script|<link|@import|url\(", page)
    assert "default-src 'none'" in page
