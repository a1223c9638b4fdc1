"""Checks of access: what is granted is what the policy says, strangers see nothing, the RBAC's export can be relied on.

They look for themselves: into the views and files, into the files as a stranger would get them, and at the rows of
`ops.role_memberships`. Principals are counted and never named.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.access import NO_SOURCE, access_desk
from analytics_platform.defs.dbt import Manifest
from analytics_platform.defs.resources import rbac_source
from analytics_platform.governance.access.desk import AccessDesk
from analytics_platform.governance.access.drift import Drift
from analytics_platform.governance.access.memberships import MEMBERSHIPS_TABLE, held_by
from analytics_platform.settings import Settings
from analytics_platform.warehouse import Warehouse, has_table
from asset_checks.factory import Facts, Scope, check

STRANGER = "nobody-of-the-rbac"
"""A principal that no RBAC knows."""

_WARN = dg.AssetCheckSeverity.WARN


def access_checks(settings: Settings, catalog: Catalog, manifest: Manifest) -> list[dg.AssetChecksDefinition]:
    """All checks of who holds a role and who sees what."""

    def desk(scope: Scope) -> AccessDesk:
        return access_desk(settings, catalog, manifest, scope.store, scope.warehouse)

    return [*_policy_checks(desk), *_membership_checks(settings)]


def _policy_checks(desk: Callable[[Scope], AccessDesk]) -> list[dg.AssetChecksDefinition]:
    def live(scope: Scope) -> Facts:
        its = desk(scope)
        return compiled_is_live(its.diff(), its.drift_today(datetime.now(UTC).date()), its.target.next_step)

    def missing(scope: Scope) -> Facts:
        its = desk(scope)
        return every_privilege_is_there(its.changed_since_applied(), its.target.next_step)

    def stranger(scope: Scope) -> Facts:
        return unknown_principal_sees_nothing(desk(scope))

    return [
        check(
            keys.ACCESS_POLICIES,
            "compiled_is_live",
            live,
            description=(
                "Audiences' files, or the grants of the warehouse, show nothing beyond the policy, now and before "
                "today's application; an extra privilege is critical."
            ),
            dimension="consistency",
        ),
        check(
            keys.ACCESS_POLICIES,
            "every_privilege_is_there",
            missing,
            description="Audiences' files, or the grants of the warehouse, have all that the policy grants.",
            dimension="completeness",
            severity=_WARN,
        ),
        check(
            keys.ACCESS_POLICIES,
            "unknown_principal_sees_nothing",
            stranger,
            description="A principal that the RBAC does not know reads nothing, where every audience reads its own.",
            dimension="validity",
        ),
    ]


def _membership_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    def known(scope: Scope) -> Facts:
        return every_role_is_known(_held(scope.warehouse)[0])

    def vanished(scope: Scope) -> Facts:
        return no_principal_vanished(*_held(scope.warehouse))

    def fresh(scope: Scope) -> Facts:
        today = _held(scope.warehouse)[0]
        is_set = rbac_source(settings).address is not None
        return export_is_fresh(today, datetime.now(UTC), timedelta(hours=settings.rbac_max_age_hours), is_set=is_set)

    return [
        check(
            keys.ROLE_MEMBERSHIPS,
            "every_role_is_known",
            known,
            description="Each role of the product means one of access_roles.yaml; one that does not grants nothing.",
            dimension="validity",
        ),
        check(
            keys.ROLE_MEMBERSHIPS,
            "no_principal_vanished",
            vanished,
            description="Everybody who held a role the day before still holds one: a cut export would lock people out.",
            dimension="completeness",
            severity=_WARN,
        ),
        check(
            keys.ROLE_MEMBERSHIPS,
            "export_is_fresh",
            fresh,
            description="The product wrote its export lately: an old one keeps rights that were taken away since.",
            dimension="timeliness",
        ),
    ]


def compiled_is_live(drifts: Sequence[Drift], looks: pa.Table, next_step: str) -> Facts:
    """Nothing is granted beyond the policy, now or at any look of today.

    Args:
        drifts: how what is live differs now.
        looks: today's rows of `ops.access_drift`.
        next_step: the mend.
    """
    beyond = [str(each) for each in drifts if each.severity == "critical"]
    earlier = max(looks["extra_privileges"].to_pylist(), default=0)
    found = max(len(beyond), earlier)
    mended = f"; {earlier} were found and taken away today" if earlier and not beyond else ""
    counts = {"extra_privileges": len(beyond), "extra_privileges_today": earlier, "looks": looks.num_rows}
    summary = f"{len(beyond)} privileges are beyond the policy{mended}"
    return Facts(not found, f"{summary}. {next_step}" if beyond else summary, counts, beyond)


def every_privilege_is_there(drifts: Sequence[Drift], next_step: str) -> Facts:
    """Nothing that was granted, or should be, is missing."""
    lacking = [str(each) for each in drifts if each.severity == "warning"]
    summary = f"{len(lacking)} privileges of the policy are missing"
    return Facts(not lacking, f"{summary}. {next_step}" if lacking else summary, {}, lacking)


def unknown_principal_sees_nothing(desk: AccessDesk) -> Facts:
    """A stranger reads nothing; the audiences do, or the count would prove nothing.

    Where somebody else grants, it may be that nothing is granted yet: `every_privilege_is_there` speaks of that.
    """
    held = held_by(STRANGER, desk.held())
    seen = desk.readable(desk.policy.audiences_of(held))
    control = desk.readable(desk.policy.audiences(desk.tenants))
    unit = "rows" if desk.target.name == "duckdb" else "tables"
    summary = f"an unknown principal reads {seen} {unit}; all audiences together read {control:,}"
    proven = control > 0 or not desk.target.applies
    return Facts(seen == 0 and proven, summary, {unit: seen, f"{unit}_of_audiences": control})


def every_role_is_known(today: Sequence[Mapping[str, Any]]) -> Facts:
    """Each role of the product means one of ours."""
    unknown = sorted({row["rbac_role"] for row in today if row["role"] is None})
    rows = sum(row["role"] is None for row in today)
    summary = f"{len(unknown)} roles of the product mean none of ours, in {rows} of {len(today)} memberships"
    return Facts(not unknown, summary, {"memberships": len(today)}, unknown, len(today), rows)


def no_principal_vanished(today: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> Facts:
    """Everybody of the day before is there today; who is missing is counted and not named."""
    gone = {row["principal"] for row in before} - {row["principal"] for row in today}
    known = len({row["principal"] for row in before})
    summary = f"{len(gone)} of {known} principals of the day before hold no role any more"
    return Facts(not gone, summary, {"principals_before": known}, (), known, len(gone))


def export_is_fresh(today: Sequence[Mapping[str, Any]], now: datetime, most: timedelta, *, is_set: bool) -> Facts:
    """The export is younger than the setting allows; without a source there is nothing to be old."""
    if not is_set:
        return Facts(True, NO_SOURCE)
    if not today:
        return Facts(False, "the source is set and names nobody; see the export, or the last run of this asset")
    age = now - min(row["exported_at"] for row in today)
    hours = age.total_seconds() / 3600
    summary = f"the export is {hours:.1f} hours old; {most.total_seconds() / 3600:g} are allowed"
    return Facts(age <= most, summary, {"age_hours": round(hours, 2)})


def _held(warehouse: Warehouse) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of the newest day, and those of the day before that."""
    if not has_table(warehouse, MEMBERSHIPS_TABLE):
        return [], []
    rows: list[dict[str, Any]] = warehouse.query(
        f"select *, dense_rank() over (order by day desc) as place from {MEMBERSHIPS_TABLE} qualify place <= 2"
    ).to_pylist()
    return [row for row in rows if row["place"] == 1], [row for row in rows if row["place"] == 2]
