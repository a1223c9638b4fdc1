"""Proof that governance works: the records of processing, backups of the lake, and verifying what was promised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.common import as_json, expected_failures, read_catalog, read_settings

if TYPE_CHECKING:
    from analytics_platform.defs.restoring import Restored

_FILE = click.option(
    "--backup",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The backup; by default the newest.",
)


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


@governance.command()
@click.option("--by", required=True, metavar="NAME", help="Who answers for this; goes on record.")
@as_json
def backup(by: str, as_json: bool) -> None:
    """Copy the lake into one file, without the keys to people: keep those elsewhere."""
    with expected_failures():
        from analytics_platform.defs.restoring import make_backup

        settings = read_settings()
        made = make_backup(settings, by=by)
    answer = {"backup": str(made.path), "objects": len(made.objects), "sha256": made.sha256}
    lines = [
        f"{made.path}: {len(made.objects):,} objects, SHA-256 {made.sha256}",
        "Not in it, and needed to restore: the keys to people and the write keys, which lie beside the lake.",
    ]
    show(answer, as_json, lines)


@governance.command()
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), required=True, help="An empty folder.")
@_FILE
@as_json
def restore(home: Path, path: Path | None, as_json: bool) -> None:
    """Restore a backup into a new home, without what was removed or erased since."""
    with expected_failures():
        from analytics_platform.defs.resources import warehouse_from
        from analytics_platform.defs.restoring import restore_home
        from analytics_platform.warehouse import SharedWarehouse

        settings = read_settings()
        restored, warehouse = restore_home(settings, path, home), warehouse_from(settings)
    lines = [*_lines(restored), f"Build its warehouse with: ANALYTICS_HOME={home} analytics run"]
    if isinstance(warehouse, SharedWarehouse):
        lines.append(f"That builds in {warehouse.address}, where the living lake's days are: set another place first")
    show({"home": str(home), **restored.as_dict()}, as_json, lines)


@governance.command()
@_FILE
@as_json
def verify(path: Path | None, as_json: bool) -> None:
    """Prove it: the chain of evidence holds, and a restored backup lacks what was removed or erased."""
    with expected_failures():
        from analytics_platform.defs.restoring import verify_governance

        verified = verify_governance(read_settings(), path)
    answer = {"ok": True, "evidence": verified.evidence, "restored": verified.restored.as_dict()}
    show(answer, as_json, [f"Evidence: {verified.evidence:,} entries, the chain holds", *_lines(verified.restored)])


def _lines(restored: Restored) -> list[str]:
    return [
        f"Restored {restored.backup} of {restored.made_at:%Y-%m-%d %H:%M} UTC: {restored.objects:,} objects",
        f"Removed again: {restored.removed_again:,} rows and objects",
    ]
