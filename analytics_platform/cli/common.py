"""What every verb shares: its options, its deployment, how it shows progress, and how it ends when it cannot go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import click

from analytics_platform.errors import AnalyticsError

if TYPE_CHECKING:
    from analytics_platform.catalog import Catalog
    from analytics_platform.settings import Settings

Progress = Callable[[int, int], None]


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


as_json = click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")


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
def progress_bar(title: str, quiet: bool) -> Iterator[Progress | None]:
    """A progress bar on a terminal; nothing in pipes, logs and ``--json``."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def expected_failures() -> Iterator[None]:
    """Show a failure that the user can mend as one message; all others keep their traceback."""
    try:
        yield
    except AnalyticsError as error:
        raise click.ClickException(str(error)) from error
