"""Names and ids within a project. All are made of what they name, so that a rebuild gives the same bytes."""

from __future__ import annotations

import hashlib
import uuid

PROJECT = "Analytics"
"""The project's name, and that of its model and report."""

KPIS = "KPIs"
"""The table that holds the measures."""

DATE = "Date"
"""The date table."""

DATE_KEY = "Date"
"""Its key column."""

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://analytics-platform/power-bi")


def identity(*parts: str) -> str:
    """A stable id of a model's object, by which Power BI follows it when it is renamed (`lineageTag`)."""
    return str(uuid.uuid5(_SPACE, "\x1f".join(parts)))


def page_or_visual(*parts: str) -> str:
    """A stable name of a page or visual, in the form that Power BI gives them: 20 hexadecimal digits."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]


def fact_table(dashboard: str, extract: str) -> str:
    """The model's table of an extract; audiences' files and the access policy name it alike."""
    return f"{dashboard}__{extract}"


def title_of(column: str) -> str:
    """A column's name as a reader sees it: `warehouse_id` is Warehouse."""
    return column.removesuffix("_id").replace("_", " ").capitalize()


def key_of(column: str) -> str:
    """The column by which an extract and a shared dimension meet."""
    return f"{column}_key"
