"""Checks of connectors: every row of the last run is accounted for, and few of them were refused.

What a run says of itself is in its stream's state; what it landed stands in the manifests that it put, which the ledger
reads. The two are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from analytics_platform.connectors.loading import AnyConnector
from analytics_platform.connectors.state import Account, read_state
from analytics_platform.defs import keys
from analytics_platform.lake.manifest import parse_manifest
from analytics_platform.lake.store import ObjectMissingError, ObjectStore
from asset_checks.factory import Facts, Scope, check

REFUSED_SHARE = 0.05
"""Of the things that rules made of rows, beyond which somebody should look at the mapping or the source."""


def connector_checks(connectors: Mapping[str, AnyConnector]) -> list[dg.AssetChecksDefinition]:
    """The checks of each stream of each connector."""
    return [
        each
        for connector in connectors.values()
        for stream in connector.streams
        for each in _checks(connector.name, stream)
    ]


def rows_are_accounted_for(store: ObjectStore, connector: str, stream: str) -> Facts:
    """Rows x rules + unreadable = accepted + duplicates + dead letters + skipped, and manifests say the same."""
    account = read_state(store, connector, stream).last
    if account is None:
        return Facts(True, "it has not run yet", checked=0, failed=0)
    offenders = [] if account.balances else [f"{connector}/{stream}: rows x rules do not add up to what became of them"]
    offenders += _against_manifests(store, account)
    things = account.rows * account.rules + account.unreadable
    summary = f"{things:,} things were made of {account.rows:,} rows: {len(offenders)} sums do not add up"
    counts = {name: getattr(account, name) for name in ("rows", "accepted", "duplicates", "dead_lettered", "skipped")}
    return Facts(not offenders, summary, counts, offenders, checked=things, failed=len(offenders))


def few_rows_are_refused(store: ObjectStore, connector: str, stream: str) -> Facts:
    """Dead letters of the last run beside all that it judged."""
    account = read_state(store, connector, stream).last or Account()
    judged = account.accepted + account.duplicates + account.dead_lettered
    passed = account.dead_lettered <= REFUSED_SHARE * judged
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(account.reasons.items()))
    summary = f"{account.dead_lettered:,} of {judged:,} were refused" + (f": {reasons}" if reasons else "")
    mend = [] if passed else ["`analytics dead-letters show` says why; mend the mapping, then replay them"]
    return Facts(passed, summary, {}, mend, checked=judged, failed=account.dead_lettered, threshold=REFUSED_SHARE)


def _checks(connector: str, stream: str) -> list[dg.AssetChecksDefinition]:
    def accounted(scope: Scope) -> Facts:
        return rows_are_accounted_for(scope.store, connector, stream)

    def refused(scope: Scope) -> Facts:
        return few_rows_are_refused(scope.store, connector, stream)

    asset = keys.connector(connector, stream)
    return [
        check(
            asset,
            "rows_are_accounted_for",
            accounted,
            description="Each row of the last run was accepted, a duplicate, a dead letter or left out by a filter; "
            "the manifests that the ledger reads count the same.",
            dimension="completeness",
        ),
        check(
            asset,
            "few_rows_are_refused",
            refused,
            description=f"At most {REFUSED_SHARE:.0%} of what the last run judged became dead letters.",
            dimension="validity",
            severity=dg.AssetCheckSeverity.WARN,
        ),
    ]


def _against_manifests(store: ObjectStore, account: Account) -> list[str]:
    said = {"accepted": account.accepted, "duplicates": account.duplicates, "dead_lettered": account.dead_lettered}
    found = dict.fromkeys(said, 0)
    for key in account.manifests:
        try:
            manifest = parse_manifest(store.get(key))
        except ObjectMissingError:
            return [f"{key}: is not in the lake"]
        for counts in manifest.counts.values():
            for name in found:
                found[name] += getattr(counts, name)
    return [
        f"{name}: the run says {said[name]:,}, its manifests {found[name]:,}"
        for name in said
        if said[name] != found[name]
    ]
