"""ops/sla_attainment: which promises about time were kept, by business day, tenant and dataset.

Thin: the promises are the catalogue's, the judging is `insights.promises`, the warnings are in `asset_checks.promises`.
What makes a dataset is read from the graph itself, so an asset that is added is judged without another line.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.builds import builds_of
from analytics_platform.defs.look_back import first_run_at
from analytics_platform.defs.partitions import Partitions, days_between, raw_key, span_of
from analytics_platform.defs.policies import dataset_name
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.insights.expectations import sent_days
from analytics_platform.insights.promises import (
    ATTAINMENT_TABLE,
    COLUMNS,
    Attainment,
    Evidence,
    Promised,
    as_table,
    evaluate,
    from_table,
    settled,
)
from analytics_platform.insights.receipts import Landed, landed
from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse, has_table

JUDGED_LAYERS = frozenset({"raw", "kpi", "extract", "dashboard"})
"""Layers of the registry that somebody waits for; what lies between is judged with what is made from it."""

_LINEAGE_LAYERS = frozenset({"raw", "loaded", "staging", "marts", "kpi", "extract", "dashboard"})

_COLUMNS = dg.TableSchema(
    columns=[dg.TableColumn(name, type=str(kind), description=text) for name, (kind, text) in COLUMNS.items()]
)

Lineage = Mapping[str, Sequence[str]]
"""By asset the assets that it is directly made from; only assets that descend from raw streams."""


def sla_attainment_asset(
    catalog: Catalog,
    partitions: Partitions,
    assets: Sequence[dg.AssetsDefinition],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dg.AssetsDefinition:
    """Judge the promises of the run's days; what was decided before stays.

    Args:
        catalog: declares tenants, datasets and tiers.
        partitions: of the deployment.
        assets: the graph that is judged.
        clock: tells the moment of judging.
    """
    lineage = lineage_of(assets)
    promised = promised_datasets(catalog, lineage)

    @dg.asset(
        key=keys.SLA_ATTAINMENT,
        deps=[keys.LEDGER, *(dg.AssetKey.from_user_string(each.asset) for each in promised)],
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
        description="Promises about time by day, tenant and dataset: by when, since when, and whether they were kept.",
        metadata={"dagster/table_name": ATTAINMENT_TABLE, "dagster/column_schema": _COLUMNS},
    )
    def sla_attainment(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        first, last = span_of(context)
        now = clock()
        with warehouse.exclusive():
            before = stored_attainment(warehouse, first, last)
            days = days_to_judge(before, first, last, partitions.last_day(now))
            evidence = _evidence(context.instance, store, warehouse, catalog, lineage, partitions, days)
            found = evaluate(catalog, promised, evidence, days, partitions.time_zone, now) if evidence else []
            rows = settled(before, found)
            warehouse.replace_days(ATTAINMENT_TABLE, as_table(rows), first, last)
        broken = sum(row.is_attained is False for row in rows)
        return dg.MaterializeResult(metadata={"rows": len(rows), "broken": broken, "days_judged": len(days)})

    return sla_attainment


def lineage_of(assets: Iterable[dg.AssetsDefinition]) -> Lineage:
    """What each asset that descends from raw streams is made from, by day."""
    deps = {
        spec.key: [dep.asset_key for dep in spec.deps]
        for asset in assets
        for spec in asset.specs
        if keys.layer(spec.key) in _LINEAGE_LAYERS
    }
    descends: dict[dg.AssetKey, bool] = {}

    def from_raw(key: dg.AssetKey) -> bool:
        if key not in descends:
            descends[key] = keys.layer(key) == "raw" or any(from_raw(dep) for dep in deps.get(key, ()))
        return descends[key]

    return {
        key.to_user_string(): [dep.to_user_string() for dep in sources if dep in deps and from_raw(dep)]
        for key, sources in deps.items()
        if from_raw(key)
    }


def promised_datasets(catalog: Catalog, lineage: Lineage) -> list[Promised]:
    """The datasets with a tier that are judged, in the order of the registry."""
    # A raw stream is there when it is loaded; its key comes after raw's, and takes its place.
    by_dataset = {dataset_name(dg.AssetKey.from_user_string(asset)): asset for asset in sorted(lineage, reverse=True)}
    by_dataset |= {f"raw.{stream}": f"loaded/{stream}" for stream in catalog.streams}
    return [
        Promised(name, dataset.owner, catalog.sla_tiers[dataset.sla_tier], by_dataset[name], streams)
        for name, dataset in catalog.datasets.items()
        if dataset.sla_tier and dataset.layer in JUDGED_LAYERS and name in by_dataset
        for streams in [_streams_behind(by_dataset[name], lineage)]
        if streams
    ]


def stored_attainment(warehouse: Warehouse, first: date, last: date) -> list[Attainment]:
    """What was decided of the days before; nothing before the first evaluation."""
    if not has_table(warehouse, ATTAINMENT_TABLE):
        return []
    return from_table(warehouse.query(f"select * from {ATTAINMENT_TABLE} where day between ? and ?", [first, last]))


def days_to_judge(before: Iterable[Attainment], first: date, last: date, running: date) -> list[date]:
    """Days that an evaluation may say something new of: never judged, with an open row, or hardly over."""
    rows = list(before)
    known, still_open = {row.day for row in rows}, {row.day for row in rows if row.is_open}
    recent = running - timedelta(days=2)
    return [day for day in days_between(first, last) if day >= recent or day not in known or day in still_open]


def _streams_behind(asset: str, lineage: Lineage) -> tuple[str, ...]:
    seen, waiting = set[str](), [asset]
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.add(each)
            waiting += lineage.get(each, ())
    return tuple(sorted(each.removeprefix("raw/") for each in seen if each.startswith("raw/")))


def _evidence(
    instance: dg.DagsterInstance,
    store: ObjectStore,
    warehouse: Warehouse,
    catalog: Catalog,
    lineage: Lineage,
    partitions: Partitions,
    days: Sequence[date],
) -> Evidence | None:
    """All that the days are judged on; None where no day is to judge."""
    since = first_run_at(instance)
    if not days or since is None:
        return None
    found = landed(store, list(catalog.streams), days, partitions.time_zone, since)
    return Evidence(
        since=since,
        receipts=found.receipts,
        holdings=found.holdings,
        builds=builds_of(instance, _wanted(found, lineage, days, partitions)),
        begun=found.begun,
        sent=sent_days(warehouse, max(days)),
        lineage=lineage,
    )


def _wanted(
    found: Landed, lineage: Lineage, days: Sequence[date], partitions: Partitions
) -> dict[dg.AssetKey, list[str]]:
    """Partitions whose builds count: of raw and its loads also those of other days that landed on the judged dates."""
    places = sorted({(each.day, each.tenant) for each in found.receipts})
    raw = [str(raw_key(place)) for place in places]
    loaded = sorted({day.isoformat() for day, _ in places})
    built = [day.isoformat() for day in days]
    pages = [day.isoformat() for day in days_between(min(days), max(days) + timedelta(days=1))]
    by_layer = {"raw": raw, "loaded": sorted({*loaded, *built}), "dashboard": pages}
    wanted = {key: by_layer.get(keys.layer(key), built) for key in map(dg.AssetKey.from_user_string, lineage)}
    return {key: keys_ for key, keys_ in wanted.items() if keys_}
