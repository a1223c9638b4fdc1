"""SLA attainment: of the promises about time that were due in the quarter, how many were kept, and by whom least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import NamedTuple, TypeVar

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.content import (
    Attainment,
    Content,
    DomainAttainment,
    Promises,
    TenantAttainment,
)
from analytics_platform.governance.review.evidence import SLA_ATTAINMENT, Evidence, Row
from analytics_platform.governance.review.scorecard import domain_of

_QUERY = (
    "select tenant_id, dataset, tier, promise, count(*) as due, sum(case when is_attained then 1 else 0 end) as "
    "attained "
    f"from {SLA_ATTAINMENT.table} where day between ? and ? and is_attained is not null "
    "group by tenant_id, dataset, tier, promise order by tenant_id, dataset, tier, promise"
)


Key = TypeVar("Key")


class Kept(NamedTuple):
    """Promises that were due, and how many of them were kept."""

    due: int
    attained: int

    @property
    def share(self) -> float:
        """The share that was kept; of nothing due, all."""
        return self.attained / self.due if self.due else 1.0


def promises(evidence: Evidence, catalog: Catalog, first: date, last: date, previous: Content | None) -> Promises:
    """Attainment of the days `first` to `last`; promises that were not due, or expected nothing, count nowhere."""
    rows = evidence.read(SLA_ATTAINMENT, _QUERY, [first, last])
    tenants = _kept(rows, lambda row: str(row["tenant_id"]))
    domains = _kept(rows, lambda row: domain_of(row["dataset"], catalog))
    kinds = _kept(rows, lambda row: (str(row["tier"]), str(row["promise"])))
    return Promises(
        missing=evidence.missing(SLA_ATTAINMENT)
        or (None if rows else f"{SLA_ATTAINMENT.table} has no promise that was due"),
        kinds=tuple(_kind(kind, kept, rows, previous) for kind, kept in sorted(kinds.items())),
        tenants=tuple(
            TenantAttainment(tenant_id=tenant, due=kept.due, attained=kept.attained)
            for tenant, kept in sorted(tenants.items(), key=_worst_first)
        ),
        domains=tuple(
            DomainAttainment(domain=domain, due=kept.due, attained=kept.attained)
            for domain, kept in sorted(domains.items())
        ),
    )


def _kind(kind: tuple[str, str], kept: Kept, rows: Iterable[Row], previous: Content | None) -> Attainment:
    tier, promise = kind
    tenants = _kept((row for row in rows if (row["tier"], row["promise"]) == kind), lambda row: str(row["tenant_id"]))
    worst, of_worst = min(tenants.items(), key=_worst_first)
    before = (
        {(each.tier, each.promise): Kept(each.due, each.attained) for each in previous.promises.kinds}
        if previous
        else {}
    )
    then = before.get(kind)
    return Attainment(
        tier=tier,
        promise=promise,
        due=kept.due,
        attained=kept.attained,
        change_points=round(100 * (kept.share - then.share), 2) if then else None,
        worst_tenant=worst if of_worst.share < 1 else None,
        worst_due=of_worst.due if of_worst.share < 1 else None,
        worst_attained=of_worst.attained if of_worst.share < 1 else None,
    )


def _kept(rows: Iterable[Row], key_of: Callable[[Row], Key]) -> Mapping[Key, Kept]:
    due: Counter[Key] = Counter()
    attained: Counter[Key] = Counter()
    for row in rows:
        due[key_of(row)] += int(row["due"])
        attained[key_of(row)] += int(row["attained"])
    return {key: Kept(due[key], attained[key]) for key in due}


def _worst_first(item: tuple[str, Kept]) -> tuple[float, str]:
    return item[1].share, item[0]
