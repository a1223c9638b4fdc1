"""Checks of the quarterly review: nobody changed what was signed, and no waiver outlives its time unnoticed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from analytics_platform.catalog import Catalog, Waiver
from analytics_platform.defs import keys
from analytics_platform.defs.reviews import quarter_of_key, reviewed_quarters
from analytics_platform.governance.review.desk import ReviewDesk, Shown
from analytics_platform.governance.review.follow_up import expired
from asset_checks.factory import Facts, Scope, check


def review_checks(catalog: Catalog, time_zone: str) -> list[dg.AssetChecksDefinition]:
    """All checks of the review."""

    def judge_signatures(scope: Scope) -> Facts:
        desk = ReviewDesk(scope.store, catalog, time_zone)
        quarters = [quarter_of_key(key) for key in scope.partition_keys or ()] or reviewed_quarters(scope.store)
        return signatures_match_content({str(quarter): desk.show(quarter) for quarter in quarters})

    def judge_waivers(_: Scope) -> Facts:
        return waivers_are_current(list(catalog.waivers.values()), expired(catalog, datetime.now(UTC).date()))

    return [
        check(
            keys.REVIEW,
            "signatures_match_content",
            judge_signatures,
            dimension="consistency",
            description=(
                "The content has the hash that it states, every signature is as it was sealed, what was signed "
                "is kept, and "
                "HTML and PDF are what content and signatures give."
            ),
        ),
        check(
            keys.REVIEW,
            "waivers_are_current",
            judge_waivers,
            dimension="timeliness",
            description="No waiver of catalog/waivers.yaml has expired: what it excused is a failure again.",
            severity=dg.AssetCheckSeverity.WARN,
        ),
    ]


def signatures_match_content(shown: Mapping[str, Shown]) -> Facts:
    """Nothing in the lake is other than it was written."""
    offenders = [f"{quarter}: {problem}" for quarter, each in shown.items() for problem in each.problems]
    changed = sum(bool(each.problems) for each in shown.values())
    counts = {
        "signatures": sum(len(each.standing.current) for each in shown.values()),
        "void_signatures": sum(len(each.standing.void) for each in shown.values()),
    }
    summary = f"{len(offenders)} things in {changed} of {len(shown)} reviews were changed"
    return Facts(not offenders, summary, counts, offenders, checked=len(shown), failed=changed)


def waivers_are_current(waivers: Sequence[Waiver], ended: Sequence[Waiver]) -> Facts:
    """No waiver has expired."""
    offenders = [f"{waiver.name}: expired on {waiver.expires_on}" for waiver in ended]
    summary = f"{len(ended)} of {len(waivers)} waivers have expired"
    return Facts(not ended, summary, {}, offenders, checked=len(waivers), failed=len(ended))
