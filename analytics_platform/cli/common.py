"""What every verb shares: its options, its deployment, how it shows progress, and how it ends when it cannot go on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date
from typing import TYPE_CHECKING

import click

from analytics_platform.cli.command import JSON_ASKED
from analytics_platform.errors import AnalyticsError

if TYPE_CHECKING:
    from analytics_platform.catalog import Catalog
    from analytics_platform.settings import Settings

Progress = Callable[[int, int], None]

_SECONDS_BETWEEN_LINES = 30.0


class Day(click.ParamType):  # type: ignore[type-arg]
    """A business day written as YYYY-MM-DD."""

    name = "day"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day, or wrong usage."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day; write it as YYYY-MM-DD", param, ctx)


class UnknownNameError(AnalyticsError):
    """A name is of nothing that there is; the text says what somebody may have meant."""


class NotAgreedError(AnalyticsError):
    """Somebody was asked and said no."""


class Tenant(click.ParamType):  # type: ignore[type-arg]
    """The id of a tenant; the registry is only read when somebody names one."""

    name = "tenant"

    def __init__(self, *others: str) -> None:
        self.others = others

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id.

        Raises:
            UnknownNameError: there is no such tenant.
        """
        del ctx
        known = [*read_catalog().tenants, *self.others]
        if value not in known:
            where = f"{param.opts[0]}: " if param else ""
            raise UnknownNameError(f"{where}{value!r} is no registered tenant; {near(value, 'tenants', known)}")
        return value


def near(name: str, kind: str, known: Iterable[str]) -> str:
    """What somebody may have meant by a name that there is not, and all that there are."""
    from difflib import get_close_matches

    names = list(known)
    likely = get_close_matches(name, names, n=1)
    return f"{f'did you mean {likely[0]}? ' if likely else ''}known {kind} are {', '.join(names) or 'none'}"


def _note_json(context: click.Context, parameter: click.Parameter, is_asked: bool) -> bool:
    """Remember it for a failure, which is JSON then, too."""
    del parameter
    context.meta[JSON_ASKED] = is_asked
    return is_asked


as_json = click.option(
    "--json", "as_json", is_flag=True, is_eager=True, callback=_note_json, help="Answer as one JSON object."
)


def read_settings() -> Settings:
    """This deployment's choices; its home can be used by this program."""
    from analytics_platform.home_state import require_usable

    settings = read_settings_alone()
    require_usable(settings)
    return settings


def read_settings_alone() -> Settings:
    """This deployment's choices, whatever state its home is in."""
    from analytics_platform.settings import Settings

    return Settings.from_environment()


def read_catalog() -> Catalog:
    """What is declared, with this deployment's tenants."""
    from analytics_platform.catalog import load_catalog

    settings = read_settings()
    return load_catalog(settings.tenants_file, settings.extension_catalog)


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator[Progress]:
    """Show on standard error how far something is: a bar on a terminal, else a line now and then.

    Args:
        title: what is done.
        quiet: whether a script reads the answer; it gets no lines.
    """
    if not sys.stderr.isatty():
        yield _unseen if quiet else _Lines(title)
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def working(title: str) -> AbstractContextManager[object]:
    """Show on a terminal that something takes its time of which nobody knows how far it is."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(title)


def agreed(question: str) -> None:
    """Ask whether to go on.

    Raises:
        NotAgreedError: somebody said no.
    """
    if not click.confirm(question, err=True):
        raise NotAgreedError("not agreed, so nothing was changed; --yes agrees beforehand")


class _Lines:
    """Progress in a log: a line each half minute, none for what is done sooner."""

    def __init__(self, title: str) -> None:
        self.title, self.told_at = title, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Say how far it is, if it is time to."""
        if time.monotonic() - self.told_at >= _SECONDS_BETWEEN_LINES:
            self.told_at = time.monotonic()
            click.echo(f"{self.title}: {100 * done // max(total, 1)} %", err=True)


def _unseen(done: int, total: int) -> None:
    del done, total
