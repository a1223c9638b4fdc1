"""Proof that governance works: the records of processing, backups of the lake, and verifying what was promised."""

from __future__ import annotations

from pathlib import Path

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.common import as_json, expected_failures, read_catalog, read_settings


@click.group()
def governance() -> None:
    """Proof: records of processing, backups of the lake, and what was promised verified."""


@governance.command()
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write into."
)
@as_json
def records(folder: Path, as_json: bool) -> None:
    """Write the records of processing activities (GDPR art. 30) as HTML, PDF and JSON."""
    with expected_failures():
        from analytics_platform.defs.records import rendered

        forms = rendered(read_settings(), read_catalog())
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for form, data in forms.items():
        path = folder / f"records_of_processing.{form}"
        path.write_bytes(data)
        written[form] = str(path)
    show({"written": written}, as_json, [f"{form.upper():<5}{path}" for form, path in written.items()])
