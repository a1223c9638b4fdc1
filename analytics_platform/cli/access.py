"""Access: compile the policy, compare what is granted with it, apply what is ours, and the matrix to sign."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, read_catalog, read_settings

if TYPE_CHECKING:
    from analytics_platform.governance.access.desk import AccessDesk, Applied
    from analytics_platform.governance.access.drift import Drift
    from analytics_platform.governance.access.signoff import PolicyStanding

_SHOWN = 40


@click.group(cls=Group)
def access() -> None:
    """Who may see what: one policy, compiled to every target; what is granted compared with it."""


@access.command("compile")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder; by default below the home folder."
)
@as_json
def compile_(out: Path | None, as_json: bool) -> None:
    """Write the policy for DuckDB, Snowflake, BigQuery, dbt, Power BI and pages into a folder; nothing is granted.

    Examples:
        analytics access compile
        analytics access compile --out policy/
    """
    desk = _desk()
    folder = out or read_settings().access_root / "compiled"
    paths = desk.compile(folder)
    names = [str(path.relative_to(folder)) for path in paths]
    answer = {"policy_sha256": desk.policy.sha256, "folder": str(folder), "files": names}
    show(
        answer, as_json, [f"Policy {desk.policy.sha256}", f"{len(names)} files in {folder}", *(f"  {n}" for n in names)]
    )


@access.command()
@click.option(
    "--target",
    type=click.Choice(["duckdb", "snowflake", "bigquery", "power_bi"]),
    help="By default the configured warehouse, which is asked; another one by the rows that it answered with.",
)
@click.option(
    "--rows",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON of the answers to the compiled questions/, by question: {grants: [{…}], …}.",
)
@as_json
def diff(target: str | None, rows: Path | None, as_json: bool) -> None:
    """Compare what is granted with the policy; fails on any difference.

    Examples:
        analytics access diff
        analytics access diff --target snowflake --rows answers.json
    """
    desk = _desk()
    name = target or desk.target.name
    is_asked = name == desk.target.name and rows is None
    drifts = desk.diff() if is_asked else desk.diff_external(name, _rows(rows, name))
    mend = desk.target.mend(drifts) if is_asked else []
    answer = {"target": name, "policy_sha256": desk.policy.sha256, **_counted(drifts), "mend": mend}
    lines = _drift_lines(name, drifts)
    lines += [desk.target.next_step] if drifts and is_asked else []
    show(answer, as_json, [*lines, *(f"  {each};" for each in mend)])
    sys.exit(1 if drifts else 0)


@access.command()
@click.option("--by", required=True, metavar="NAME", help="Who answers for this; goes on record.")
@as_json
def apply(by: str, as_json: bool) -> None:
    """Carry the policy out in the configured warehouse; fails when anything was or is granted beyond the policy.

    For DuckDB views and audiences' files are made anew. Elsewhere the compiled statements are run where the setting
    access_grants lets the platform grant; else what is granted is only compared.

    Examples:
        analytics access apply --by "Ann Smit"
    """
    desk = _desk()
    applied = desk.apply(by=by, now=datetime.now(UTC))
    carried, name = applied.carried, desk.target.name
    files = [
        {"audience": f.audience.name, "path": str(f.path), "rows": f.rows, "bytes": f.bytes} for f in carried.files
    ]
    answer = {
        "policy_sha256": applied.policy_sha256,
        "found": _counted(applied.found),
        "left": _counted(applied.left),
        "files": files,
        "target": name,
        "statements": carried.statements,
        "still_by_hand": carried.by_hand,
    }
    lines = [f"Policy {applied.policy_sha256}"]
    lines += [f"  {f.audience.name:<36} {f.datasets:>3} datasets {f.rows:>10,} rows  {f.path}" for f in carried.files]
    if applied.found:
        lines += ["Before:", *_drift_lines(name, applied.found)]
    show(answer, as_json, [*lines, *_after(desk, applied)])
    sys.exit(1 if applied.left or any(each.severity == "critical" for each in applied.found) else 0)


@access.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder; by default below the home folder."
)
@click.option("--sign", "role", metavar="ROLE", help="Sign for a role of signoff_roles.yaml the policy that you read.")
@click.option("--name", help="Your name, as it stands in the matrix.")
@click.option("--policy", "shown", help="Hash of the policy that you read, or its first 12 characters.")
@as_json
def matrix(out: Path | None, role: str | None, name: str | None, shown: str | None, as_json: bool) -> None:
    """Write who may see what as HTML and PDF, and sign it.

    Examples:
        analytics access matrix
        analytics access matrix --sign data_owner --name "Ann Smit" --policy 0f1e2d3c4b5a
    """
    desk = _desk()
    now = datetime.now(UTC)
    standing = desk.sign(role, name or "", shown or "", now) if role else desk.standing()
    paths = desk.write_matrix(out or read_settings().access_root, now.date())
    answer = {"policy_sha256": desk.policy.sha256, **_told(standing), "files": [str(path) for path in paths]}
    lines = [f"Policy {desk.policy.sha256}: {standing.status}"]
    lines += [
        f"Signed  {each.role}: {each.signer}, {each.signed_at:%Y-%m-%d %H:%M} UTC" for each in standing.signatures
    ]
    lines += [f"Open    {each}" for each in standing.open_roles]
    show(answer, as_json, [*lines, *(str(path) for path in paths)])


def _after(desk: AccessDesk, applied: Applied) -> list[str]:
    target, carried = desk.target, applied.carried
    if not target.applies:
        return [f"{target.name}: nothing was granted. {target.next_step}"]
    lines = [f"{target.name}: {carried.statements} statements were run"] if carried.statements else []
    lines += [f"Still by hand: {each}" for each in carried.by_hand]
    if target.is_late:
        return [*lines, "What is granted now shows up to two hours later: look with `analytics access diff`"]
    return lines + _drift_lines(target.name, applied.left)


def _desk() -> AccessDesk:
    from analytics_platform.defs.access import access_desk
    from analytics_platform.defs.manifest import ensure_manifest, load_manifest

    settings = read_settings()
    ensure_manifest(settings)
    return access_desk(settings, read_catalog(), load_manifest(settings))


def _rows(path: Path | None, target: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    from analytics_platform.governance.access.live import LiveRowsError

    if target == "duckdb":
        raise LiveRowsError("duckdb is looked at, in a home whose warehouse it is; give neither --target nor --rows")
    if path is None:
        raise LiveRowsError(
            f"{target} is not the configured warehouse: run what `analytics access compile` wrote to questions/, put "
            "the answers into one JSON object by question, and give it with --rows"
        )
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LiveRowsError(f"{path} is no JSON; write one object of answers by question") from error
    if not isinstance(told, dict) or not all(isinstance(rows, list) for rows in told.values()):
        raise LiveRowsError(f"{path} holds no answers by question; write {{question: [{{column: value}}]}}")
    return told


def _counted(drifts: Sequence[Drift]) -> dict[str, Any]:
    critical = sum(each.severity == "critical" for each in drifts)
    return {
        "extra_privileges": critical,
        "missing_privileges": len(drifts) - critical,
        "drift": [each.as_dict() for each in drifts],
    }


def _drift_lines(target: str, drifts: Sequence[Drift]) -> list[str]:
    if not drifts:
        return [f"{target}: what is granted is what the policy says"]
    counted = _counted(drifts)
    head = (
        f"{target}: {counted['extra_privileges']} privileges beyond the policy, {counted['missing_privileges']} missing"
    )
    more = [f"  and {len(drifts) - _SHOWN} more; --json has all"] if drifts[_SHOWN:] else []
    return [head, *(f"  {each.severity:<8} {each}" for each in drifts[:_SHOWN]), *more]


def _told(standing: PolicyStanding) -> dict[str, Any]:
    return {
        "status": standing.status,
        "signatures": [
            {"role": each.role, "signer": each.signer, "signed_at": each.signed_at} for each in standing.signatures
        ],
        "open_roles": list(standing.open_roles),
        "void": standing.void,
    }
