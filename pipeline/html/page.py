"""Pages from the templates of this folder; whatever is put into one is escaped."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2


def png_uri(png: bytes) -> str:
    """A PNG as a `data:` URI, for the `src` of an image."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["png_uri"] = png_uri


def render(template: str, **values: Any) -> bytes:
    """Makes a page, which asks for nothing from anywhere and runs no script.

    Args:
      template: the name of a template, e.g. `audit`.
      values: what it shows; a value that it asks for and that is not there is an error.

    Returns:
      The page as UTF-8.
    """
    text = _ENVIRONMENT.get_template(f"{template}.html.j2").render(values)
    # A file name that is not UTF-8 is half of a surrogate pair here.
    return text.encode(errors="xmlcharrefreplace")
