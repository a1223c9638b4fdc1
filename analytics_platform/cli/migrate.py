"""Migrate: plan, run and verify a move from the embedded default to the backends that settings name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, progress_bar, read_settings

if TYPE_CHECKING:
    from analytics_platform.migration.parts import Compared, Item, Part, Progress

T = TypeVar("T")

_SHOWN = 40

_FROM = click.option(
    "--from",
    "home",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The home that is left, taken as the embedded default has it; by default that of the settings.",
)
_PARTS = click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(["home", "lake", "warehouse", "dagster"]),
    help="One part alone; may be repeated. By default all.",
)


@click.group(cls=Group)
def migrate() -> None:
    """From a home folder to a bucket, a warehouse and PostgreSQL, as settings name them; the source stays as it is."""


@migrate.command()
@_FROM
@_PARTS
@as_json
def plan(home: Path | None, parts: tuple[str, ...], as_json: bool) -> None:
    """Say what there is, what would be copied and what not, and why; nothing is changed.

    Examples:
        analytics migrate plan
        analytics migrate plan --part lake --part warehouse
    """
    from analytics_platform.defs.migrating import opened_parts

    with opened_parts(read_settings(), home, parts) as moves:
        items = [item for move in moves for item in move.plan()]
    show({"items": [asdict(item) for item in items]}, as_json, _plan_lines(items))


@migrate.command()
@_FROM
@_PARTS
@as_json
def run(home: Path | None, parts: tuple[str, ...], as_json: bool) -> None:
    """Copy; begun again after it was broken off, it goes on, and follows what the source has lost or changed since.

    Examples:
        analytics migrate run
    """
    moved = _each("Copying", home, parts, as_json, lambda part, progress: part.run(progress))
    lines = [
        f"{each.part}: {each.copied:,} of {each.total:,} copied{f', {each.removed:,} removed' if each.removed else ''}"
        for each in moved
    ]
    after = [
        "Next: analytics migrate verify, then analytics doctor; then start the services with these settings, and never "
        "again with the old ones"
    ]
    show({"parts": [asdict(each) for each in moved]}, as_json, [*lines, *after])


@migrate.command()
@_FROM
@_PARTS
@as_json
def verify(home: Path | None, parts: tuple[str, ...], as_json: bool) -> None:
    """Compare all of it, object by object and row by row; exit code 1 and names where anything differs.

    Examples:
        analytics migrate verify --json
    """
    compared = _each("Comparing", home, parts, as_json, lambda part, progress: part.verify(progress))
    is_same = not any(each.differences for each in compared)
    answer = {"ok": is_same, "parts": [asdict(each) for each in compared]}
    show(answer, as_json, [line for each in compared for line in _compared_lines(each)])
    sys.exit(0 if is_same else 1)


def _each(
    title: str, home: Path | None, parts: Sequence[str], quiet: bool, act: Callable[[Part, Progress], T]
) -> list[T]:
    """Do something with each part, with a progress bar of its own, while nobody writes to the source."""
    answers: list[T] = []
    from analytics_platform.defs.migrating import opened_parts, quiet_source

    settings = read_settings()
    with opened_parts(settings, home, parts) as moves, quiet_source(settings, home):
        for move in moves:
            with progress_bar(f"{title} {move.name}", quiet) as progress:
                answers.append(act(move, progress))
    return answers


def _plan_lines(items: Sequence[Item]) -> list[str]:
    lines = [
        f"{item.part:<10} {item.fate:<8} {item.name:<44} {_extent(item)}{f'  ({item.reason})' if item.reason else ''}"
        for item in items
    ]
    copied = [item for item in items if item.fate == "copied"]
    size = sum(item.size or 0 for item in copied)
    done = sum(item.done for item in copied)
    total = f"To copy: {sum(item.units for item in copied):,} objects, rows and files, {size:,} bytes in objects"
    return [*lines, f"{total}; {done:,} of them are done"]


def _extent(item: Item) -> str:
    size = "" if item.size is None else f" {item.size:>15,} bytes"
    return f"{item.units:>12,}{size}"


def _compared_lines(compared: Compared) -> list[str]:
    if not compared.differences:
        return [f"{compared.part}: {compared.units:,} are the same on both sides, SHA-256 {compared.digest[:16]}"]
    shown = [f"{each.part}: {each.name} {each.what}" for each in compared.differences[:_SHOWN]]
    more = len(compared.differences) - _SHOWN
    return [*shown, f"{compared.part}: and {more:,} more; --json has all of them"] if more > 0 else shown
