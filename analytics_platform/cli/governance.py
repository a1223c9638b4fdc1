"""Proof that governance works: the records of processing, and verifying what was promised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, read_catalog, read_settings, working

if TYPE_CHECKING:
    from analytics_platform.defs.restoring import Restored


@click.group(cls=Group)
def governance() -> None:
    """Proof: records of processing, and what was promised verified."""


@governance.command()
@click.option(
    "--out",
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to write into.",
)
@as_json
def records(folder: Path, as_json: bool) -> None:
    """Write the records of processing activities (GDPR art. 30) as HTML, PDF and JSON.

    Examples:
        analytics governance records --out records/
    """
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
@as_json
def verify(as_json: bool) -> None:
    """Prove it: the chain of evidence holds, and the newest backup's lake comes back without what was forgotten.

    Examples:
        analytics governance verify --json
    """
    from analytics_platform.defs.restoring import verify_governance

    with working("Restoring the newest backup, to compare"):
        verified = verify_governance(read_settings())
    answer = {"ok": True, "evidence": verified.evidence, "restored": verified.restored.as_dict()}
    show(answer, as_json, [f"Evidence: {verified.evidence:,} entries, the chain holds", *_lines(verified.restored)])


def _lines(restored: Restored) -> list[str]:
    return [
        f"Restored {restored.backup} of {restored.made_at:%Y-%m-%d %H:%M} UTC: {restored.things:,} objects",
        f"Removed again: {restored.removed_again:,} rows and objects",
    ]
