"""The verbs of extending: begin a deployment's own folder, and see whether all in it fits."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, read_settings_alone
from analytics_platform.errors import AnalyticsError

if TYPE_CHECKING:
    from asset_checks.extension import Added


class NoExtensionError(AnalyticsError):
    """There is nothing to look at."""


@click.group(cls=Group)
def extension() -> None:
    """A deployment's own streams, KPIs, dashboards and checks, beside the platform's.

    Examples:
        analytics extension new extension/
    """


@extension.command()
@click.argument("folder", type=click.Path(path_type=Path))
@as_json
def new(folder: Path, as_json: bool) -> None:
    """Write a small extension into FOLDER, with the reason of each line: a stream with an event, and a model of it.

    Examples:
        analytics extension new extension/
    """
    from analytics_platform.first_extension import begin

    written = begin(folder.expanduser().resolve())
    at = folder.expanduser().resolve()
    lines = [*(f"written: {path}" for path in written), f"Next: set extension_folder to {at}, and `{_CHECK}`"]
    show({"folder": str(at), "written": written}, as_json, lines)


@extension.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@as_json
def check(folder: Path | None, as_json: bool) -> None:
    """Does all of the extension fit, and what does it add? FOLDER is by default the setting extension_folder.

    Puts the dbt project together and builds its manifest. Exit code 1 where something is wrong.

    Examples:
        analytics extension check --json
    """
    from asset_checks.extension import look_at_extension

    settings = read_settings_alone()
    if folder is not None:
        settings = settings.model_copy(update={"extension_folder": folder.expanduser().resolve()})
    if settings.extension_folder is None:
        raise NoExtensionError("extension_folder is not set; set it, or name a folder")
    added = look_at_extension(settings)
    show({"ok": not added.lacking, "folder": str(settings.extension_folder), **asdict(added)}, as_json, _lines(added))
    sys.exit(1 if added.lacking else 0)


_CHECK = "analytics extension check"


def _lines(added: Added) -> list[str]:
    lines = [f"{kind.replace('_', ' ')}: {', '.join(names)}" for kind, names in added.declared.items()]
    lines += [f"suites: {', '.join(added.suites)}"] if added.suites else []
    lines += [f"{len(added.assets)} assets: {', '.join(added.assets)}", f"{added.checks} checks on them"]
    lines += [f"nobody reads the folder {name}" for name in added.not_read]
    lines += [f"lacks a check that its tier demands: {each}" for each in added.lacking]
    return [*lines, "Not all fits" if added.lacking else "All fits"]
