"""Results as tables of texts: HTML for notebooks, sizes as people read them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence


def megabytes(size: int) -> str:
    """A size in bytes as people read it."""
    return f"{size / 1e6:,.1f} MB"


def properties_html(title: str, properties: Mapping[str, str]) -> str:
    """A property and its value a line, as HTML in which all texts are escaped."""
    lines = "".join(f"<tr><th>{_text(name)}</th>{_cell(value)}</tr>" for name, value in properties.items())
    return f"<table><caption>{_text(title)}</caption><tbody>{lines}</tbody></table>"


def rows_html(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a heading above each column, as HTML in which all texts are escaped."""
    head = "".join(f"<th>{_text(heading)}</th>" for heading in headings)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    caption = f"<caption>{_text(title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _cell(text: str) -> str:
    # Notebooks right-align cells, which suits figures and not paths.
    return f'<td style="text-align: left; white-space: pre-line">{_text(text)}</td>'


def _text(text: str) -> str:
    return html.escape(text)
