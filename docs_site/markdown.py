"""Tables and texts as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    """A text as one cell: on one line, with no bar of its own."""
    return " ".join(str(text).split()).replace("|", "\\|")


def code(text: object) -> str:
    """A text as it is typed; nothing where there is none."""
    return f"`{text}`" if str(text) else ""


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows below their header; an empty string where there is no row."""
    lines = [f"| {' | '.join(cell(each) for each in row)} |\n" for row in rows]
    return f"| {' | '.join(header)} |\n|{'---|' * len(header)}\n{''.join(lines)}\n" if lines else ""


def page(title: str, lede: str, *sections: str) -> str:
    """A whole page."""
    return "\n".join([f"# {title}\n", f"{lede}\n", *sections])
