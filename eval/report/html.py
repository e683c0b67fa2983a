"""Tables in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Line = tuple[str, Sequence[str]]  #: class of the row, its cells as HTML


def table(caption: str, head: Sequence[str], lines: Sequence[Line]) -> str:
    """A table that scrolls sideways where it is too wide; cells are HTML, the rest is text."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for kind, cells in lines
    )
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{said}'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def fold(title: str, inside: str, *, opened: bool = False) -> str:
    """Something behind its title."""
    state = " open" if opened else ""
    return f"<details{state}><summary>{escape(title)}</summary>{inside}</details>"
