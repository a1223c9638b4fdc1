"""Retention: plan, approve, apply, verify; and legal holds, which beat it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import Day, Tenant, as_json, read_catalog, read_settings, working

if TYPE_CHECKING:
    from analytics_platform.governance.retention.desk import Outcome, RetentionDesk
    from analytics_platform.governance.retention.holds import Hold
    from analytics_platform.governance.retention.plan import Plan
    from analytics_platform.governance.retention.sink import Tally

_BY = click.option("--by", required=True, metavar="NAME", help="Who answers for this; goes on record.")
_SHOWN = 40


@click.group(cls=Group)
def retention() -> None:
    """What is past its term: planned, approved by somebody else, removed, counted again, and put on record."""


@retention.command()
@_BY
@click.option("--as-of", type=Day(), help="What will be due on that day, if nothing changes; only today's is kept.")
@as_json
def plan(by: str, as_of: date | None, as_json: bool) -> None:
    """Draw a plan of what is to be removed today; nothing is removed.

    Examples:
        analytics retention plan --by "Ann Smit"
        analytics retention plan --by "Ann Smit" --as-of 2027-01-01 --json
    """
    desk, today = _desk(), _today()
    drawn = desk.plan(today, by=by) if as_of in (None, today) else desk.foresee(as_of or today, by=by)
    answer = {"plan": drawn.hash if drawn.targets else None, "kept": as_of in (None, today), **drawn.as_dict()}
    show({**answer, "units": drawn.units}, as_json, _plan_lines(drawn))


@retention.command()
@click.argument("plan_hash")
@_BY
@as_json
def approve(plan_hash: str, by: str, as_json: bool) -> None:
    """Agree to a plan; whoever drew it cannot.

    Examples:
        analytics retention approve 0f1e2d3c4b5a --by "Bo Visser"
    """
    desk = _desk()
    planned = desk.approvals.plan(plan_hash)
    approval = desk.approvals.approve(planned, by=by, now=datetime.now(UTC))
    answer = {"plan": approval.plan, "approved_by": approval.approved_by, "approved_at": approval.approved_at}
    lines = [
        f"{approval.approved_by} approved {approval.plan[:12]}: {planned.units:,} rows and objects",
        f"Carry it out with: analytics retention apply {approval.plan[:12]} --by NAME",
    ]
    show(answer, as_json, lines)


@retention.command()
@click.argument("plan_hash")
@_BY
@click.option("--dry-run", is_flag=True, help="Only say whether the plan still fits, and what it would remove.")
@as_json
def apply(plan_hash: str, by: str, dry_run: bool, as_json: bool) -> None:
    """Remove what an approved plan says, or finish what was begun, and count what is left.

    Examples:
        analytics retention apply 0f1e2d3c4b5a --by "Bo Visser" --dry-run
        analytics retention apply 0f1e2d3c4b5a --by "Bo Visser"
    """
    desk = _desk()
    planned = desk.approvals.plan(plan_hash)
    if dry_run:
        changed = desk.dry_run(planned, _today())
        _show_dry_run(planned, changed, as_json)
        sys.exit(1 if changed else 0)
    with working("Removing, and counting what is left"):
        outcome = desk.apply(planned, by=by)
    show(outcome.as_dict(), as_json, _outcome_lines(outcome))


@retention.command()
@click.argument("plan_hash", required=False)
@click.option("--by", default="verification", show_default=True, metavar="NAME", help="Who answers for this.")
@as_json
def verify(plan_hash: str | None, by: str, as_json: bool) -> None:
    """Check the chain of evidence, and count what is left of one plan or of all that were carried out.

    Examples:
        analytics retention verify
        analytics retention verify 0f1e2d3c4b5a
    """
    desk = _desk()
    entries = desk.chain.verify(_remembered())
    done = [each.subject for each in desk.chain.entries() if each.kind == "removal_done"]
    wanted = [desk.approvals.plan(each) for each in ([plan_hash] if plan_hash else done)]
    outcomes = [desk.verify(each, by=by) for each in wanted]
    answer = {"ok": True, "evidence": entries, "plans": [outcome.as_dict() for outcome in outcomes]}
    lines = [f"Evidence: {entries:,} entries, the chain holds"]
    show(answer, as_json, [*lines, *(line for outcome in outcomes for line in _outcome_lines(outcome))])


@retention.group()
def holds() -> None:
    """Legal holds: what must stay whatever its term says."""


@holds.command("list")
@click.option("--all", "everything", is_flag=True, help="Also expired and released ones.")
@as_json
def list_(everything: bool, as_json: bool) -> None:
    """Show holds with their matter, scope and last day.

    Examples:
        analytics retention holds list --all
    """
    desk = _desk()
    in_force = desk.holds.in_force(_today())
    shown = desk.holds.all() if everything else in_force
    released = desk.holds.released()
    told = [{**_told(hold), "state": _state(hold, in_force, set(released))} for hold in shown]
    show({"holds": told}, as_json, [_hold_line(each) for each in told] or ["No holds"])


@holds.command()
@click.argument("hold_id")
@_BY
@click.option("--matter", required=True, help="The case or audit that asks for it.")
@click.option("--until", "expires_on", type=Day(), required=True, help="Last day on which it holds.")
@click.option("--tenant", type=Tenant(), help="Only this tenant's data; by default all tenants'.")
@click.option("--dataset", "datasets", multiple=True, help="A dataset's name, or its beginning and *; may be repeated.")
@click.option("--from", "first", type=Day(), help="First business day that it keeps.")
@click.option("--to", "last", type=Day(), help="Last business day that it keeps.")
@as_json
def add(
    hold_id: str,
    by: str,
    matter: str,
    expires_on: date,
    tenant: str | None,
    datasets: tuple[str, ...],
    first: date | None,
    last: date | None,
    as_json: bool,
) -> None:
    """Declare a hold: what it covers is neither removed nor erased until its last day.

    Examples:
        analytics retention holds add case-2026-17 --by "Ann Smit" --matter "Case 17" --until 2027-06-30
    """
    from analytics_platform.governance.retention.holds import Hold

    days = (first or date.min, last or date.max)
    hold = Hold(hold_id, matter, by, datetime.now(UTC), expires_on, datasets or ("*",), tenant, *days)
    _refuse_unknown(hold)
    _desk().holds.declare(hold)
    show(_told(hold), as_json, [f"{by} holds {_hold_line({**_told(hold), 'state': 'in force'})}"])


@holds.command()
@click.argument("hold_id")
@_BY
@click.option("--reason", required=True, help="Why it ends before its last day.")
@as_json
def release(hold_id: str, by: str, reason: str, as_json: bool) -> None:
    """End a hold; what it kept is due by its own term again.

    Examples:
        analytics retention holds release case-2026-17 --by "Ann Smit" --reason "Settled"
    """
    ended = _desk().holds.release(hold_id, by=by, reason=reason, now=datetime.now(UTC))
    answer = {"hold_id": hold_id, "released_by": by, "released_at": ended.released_at, "reason": reason}
    show(answer, as_json, [f"{by} released {hold_id}; a new plan shows what is due of it"])


def _desk() -> RetentionDesk:
    from analytics_platform.defs.retention import forgetful_desk

    return forgetful_desk(read_settings())


def _today() -> date:
    from analytics_platform.defs.retention import reporting_day

    return reporting_day(read_settings(), read_catalog(), datetime.now(UTC))


def _remembered() -> dict[int, str]:
    from analytics_platform.defs.resources import warehouse_from
    from analytics_platform.governance.evidence import remembered

    return remembered(warehouse_from(read_settings()))


def _refuse_unknown(hold: Hold) -> None:
    """A hold that reaches nothing protects nothing, and nobody would notice."""
    from analytics_platform.catalog.governance import pattern_covers
    from analytics_platform.governance.retention.holds import HoldError

    catalog = read_catalog()
    if hold.tenant is not None and hold.tenant not in catalog.tenants:
        raise HoldError(f"{hold.tenant!r} is no registered tenant; write one of {', '.join(catalog.tenants)}")
    for pattern in hold.datasets:
        if not any(pattern_covers(pattern, name) for name in catalog.datasets):
            raise HoldError(f"{pattern!r} covers no dataset; datasets.yaml has the names")


def _plan_lines(planned: Plan) -> list[str]:
    if not planned.targets:
        return [f"Nothing is to be removed as of {planned.as_of}", *_waiting_lines(planned)]
    shown = [_target_line(target) for target in planned.targets[:_SHOWN]]
    more = [f"  and {len(planned.targets) - _SHOWN} more"] if planned.targets[_SHOWN:] else []
    return [
        f"As of {planned.as_of}: {planned.units:,} rows and objects in {len(planned.targets)} targets",
        *shown,
        *more,
        *_waiting_lines(planned),
        *([f"Held by {', '.join(planned.holds)}"] if planned.holds else []),
        f"Plan {planned.hash}",
        f"Somebody else approves it with: analytics retention approve {planned.hash[:12]} --by NAME",
    ]


def _target_line(target: Tally) -> str:
    what = f"{target.units:,} {'rows' if not target.bytes else 'objects'}"
    return f"  {target.sink:<10} {target.dataset:<44} {target.tenant:<20} {target.first} to {target.last}  {what}"


def _waiting_lines(planned: Plan) -> list[str]:
    return [f"  waits: {each.dataset} {each.tenant}, {each.units:,}: {each.why}" for each in planned.waiting[:_SHOWN]]


def _show_dry_run(planned: Plan, changed: Sequence[str], as_json: bool) -> None:
    answer = {"plan": planned.hash, "fits": not changed, "changed": list(changed), "units": planned.units}
    stale = [f"The plan does not fit any more; changed since: {', '.join(changed)}"]
    show(answer, as_json, stale if changed else _plan_lines(planned))


def _outcome_lines(outcome: Outcome) -> list[str]:
    what = "was carried out before" if outcome.already_done else "is carried out"
    lines = [
        f"{outcome.plan[:12]} {what}: {outcome.units:,} rows and objects of {outcome.targets} targets, none is left"
    ]
    return lines + [f"  held since: {each}" for each in outcome.held_back]


def _told(hold: Hold) -> dict[str, Any]:
    return {
        "hold_id": hold.hold_id,
        "matter": hold.matter,
        "declared_by": hold.declared_by,
        "declared_at": hold.declared_at.isoformat(),
        "until": hold.expires_on,
        "tenant": hold.tenant,
        "datasets": list(hold.datasets),
        "from": None if hold.first == date.min else hold.first,
        "to": None if hold.last == date.max else hold.last,
    }


def _state(hold: Hold, in_force: Sequence[Hold], released: set[str]) -> str:
    if hold in in_force:
        return "in force"
    return "released" if hold.hold_id in released else "expired"


def _hold_line(told: dict[str, Any]) -> str:
    days = f"days {told['from'] or 'ever'} to {told['to'] or 'ever'}"
    return (
        f"{told['hold_id']:<24} {told['state']:<9} until {told['until']}  {told['tenant'] or 'all tenants'}, "
        f"{', '.join(told['datasets'])}, {days}  ({told['matter']}; {told['declared_by']})"
    )
