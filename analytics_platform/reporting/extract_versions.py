"""When the version of an extract has to rise: what is declared, against what was published last.

Consumers rely on an extract as on an API: a column more does not hurt them, a column that is gone, means something else
or may suddenly hold personal data does. A change that nobody declared is refused before anything is published. Pure:
two schemas in, an entry of the changelog or a refusal out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from analytics_platform.catalog import PII_CLASSES, Extract
from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.extract_manifest import Change, Column, Schema

FIRST = "first"
ADDITIVE = "additive"
BREAKING = "breaking"


class UndeclaredChangeError(AnalyticsError):
    """An extract differs from what consumers have, and its declaration does not say so; the text names the mend."""


class Difference(NamedTuple):
    """One thing that is different, as a sentence, and whether it breaks consumers."""

    kind: str
    text: str


def declared_schema(extract: Extract) -> Schema:
    """The schema that an extract's declaration promises."""
    columns = tuple(Column(each.name, each.type, each.pii, each.description) for each in extract.columns)
    return Schema(extract.schema_version, extract.day_column, columns)


def differences(old: Schema, new: Schema) -> list[Difference]:
    """What consumers of the old schema meet in the new one; descriptions may be worded anew."""
    return list(_differences(old, new))


def next_change(published: Schema | None, extract: Extract, where: str, on: date) -> Change | None:
    """The entry of the changelog that publishing an extract as declared makes; None when nothing changed.

    Args:
        published: what consumers have; None before the first publication.
        extract: the declaration.
        where: the extract's name in messages.
        on: the day of publication.

    Raises:
        UndeclaredChangeError: the schema changed without a new version, breaks consumers without saying why, or rose
            for nothing.
    """
    new = declared_schema(extract)
    if published is None:
        return Change(new.version, on, FIRST, (f"published with {len(new.columns)} columns",), "")
    found = differences(published, new)
    if new.version == published.version and not found:
        return None
    _refuse_undeclared(published, extract, where, found)
    notes = [note for version, note in sorted(extract.changes.items()) if version > published.version]
    is_breaking = BREAKING in {*(each.kind for each in found), *(note.kind for note in notes)}
    texts = tuple(each.text for each in found) or ("the same columns mean something else",)
    return Change(new.version, on, BREAKING if is_breaking else ADDITIVE, texts, " ".join(note.why for note in notes))


def _refuse_undeclared(published: Schema, extract: Extract, where: str, found: list[Difference]) -> None:
    old, new = published.version, extract.schema_version
    notes = {version: note for version, note in extract.changes.items() if version > old}
    what = f"extract {where}: {'; '.join(each.text for each in found) or 'nothing changed'} since version {old}"
    if new < old:
        raise UndeclaredChangeError(f"{what}, which is newer than {new}; set schema_version to at least {old}")
    breaks = any(each.kind == BREAKING for each in found)
    says_so = any(note.kind == BREAKING for note in notes.values())
    note = f"changes: {{{max(new, old + 1)}: {{kind: breaking, why: …}}}}"
    if new == old:
        also = f" and say why under {note}" if breaks else ""
        raise UndeclaredChangeError(f"{what}; raise schema_version to {old + 1} in dashboards.yaml{also}")
    if breaks and not says_so:
        raise UndeclaredChangeError(f"{what}, which breaks consumers; say why in dashboards.yaml under {note}")
    if not found and not notes:
        raise UndeclaredChangeError(
            f"{what}, but schema_version is {new}; set it back to {old}, or say under {note} what means something else"
        )


def _differences(old: Schema, new: Schema) -> Iterator[Difference]:
    before, now = ({column.name: column for column in each.columns} for each in (old, new))
    for name in before:
        if name not in now:
            yield Difference(BREAKING, f"column {name} is gone")
        else:
            yield from _of_column(before[name], now[name])
    for name in now:
        if name not in before:
            yield Difference(ADDITIVE, f"column {name} ({now[name].type}, {now[name].pii}) is new")
    if [name for name in before if name in now] != [name for name in now if name in before]:
        yield Difference(BREAKING, "the columns stand in another order")
    if old.day_column != new.day_column:
        yield Difference(BREAKING, f"the day is in {new.day_column}, no longer in {old.day_column}")


def _of_column(old: Column, new: Column) -> Iterator[Difference]:
    if old.type != new.type:
        yield Difference(BREAKING, f"column {new.name} is of type {new.type}, no longer {old.type}")
    if old.pii != new.pii:
        is_raised = PII_CLASSES.index(new.pii) > PII_CLASSES.index(old.pii)
        kind = BREAKING if is_raised else ADDITIVE
        yield Difference(kind, f"column {new.name} is classed {new.pii}, no longer {old.pii}")
