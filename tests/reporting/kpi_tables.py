"""A warehouse with believable KPI tables, so that reporting is tested without the graph that fills them.

Columns are those of the tables that others build on (``kpis.md``), with more than the extracts declare where the models
have more. Numbers are seeded, follow weeks and seasons, and differ per tenant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from analytics_platform.catalog import Catalog, Tenant, load_catalog
from analytics_platform.lake.store import LocalStore, ObjectStore
from analytics_platform.reporting.extracts import ExtractPartition, build_extracts
from analytics_platform.warehouse import DuckDBWarehouse, Warehouse

LAST_DAY = date(2026, 6, 30)
CATEGORIES = ("lighting", "sound", "video_walls", "rigging", "stages", "power")
CHANNELS = ("paid_search", "referral", "events", "email", "organic", None)
BANDS = ("under_500", "500_to_2500", None, "over_50000")
BUCKETS = ("not_due", "overdue_1_30", "overdue_31_60", "overdue_61_90", "overdue_over_90")
GBP_TO_EUR = 1.17


@dataclass(frozen=True)
class KpiTables:
    """What to fill: which tenants, which days, and how many projects and the like each tenant has."""

    tenants: Sequence[Tenant]
    last: date = LAST_DAY
    days: int = 400
    projects: int = 4
    warehouses: int = 3
    customers: int = 5

    def dates(self) -> list[date]:
        return [self.last - timedelta(self.days - 1 - n) for n in range(self.days)]


def write_kpi_tables(path: Path, tables: KpiTables) -> DuckDBWarehouse:
    """Fill a DuckDB file and open it behind the warehouse port."""
    warehouse = DuckDBWarehouse(path)
    for name, build in BUILDERS.items():
        frames = [
            build(tables, tenant, np.random.default_rng([9, index])) for index, tenant in enumerate(tables.tenants)
        ]
        # A column that has no value yet is a number that is not known, not a column without a type.
        typed = [frame.with_columns(pl.col(pl.Null).cast(pl.Int64)) for frame in frames]
        warehouse.replace_table(name, pl.concat(typed).to_arrow())
    return warehouse


def publish_extract(
    warehouse: Warehouse, store: ObjectStore, catalog: Catalog, dashboard: str, extract: str, first: date, last: date
) -> list[ExtractPartition]:
    """Publish some days of one extract alone."""
    return build_extracts(warehouse, store, catalog, dashboard, [extract], first, last)[extract]


def publish(
    warehouse: DuckDBWarehouse,
    store: LocalStore,
    catalog: Catalog,
    first: date,
    last: date,
    dashboards: Iterable[str] | None = None,
) -> None:
    """Build every extract of the catalogue, or those of some dashboards."""
    for name in dashboards or catalog.dashboards:
        extracts = catalog.dashboards[name].extracts
        names = [extract.name for extract in extracts if extract.source or dashboards is None]
        build_extracts(warehouse, store, catalog, name, names, first, last)


def catalog_with(tenants: Iterable[Tenant]) -> Catalog:
    """The declared catalogue with other tenants."""
    return load_catalog().model_copy(update={"tenants": {tenant.tenant_id: tenant for tenant in tenants}})


def renamed(tenant: Tenant, tenant_id: str, name: str) -> Tenant:
    """A tenant like another one."""
    return tenant.model_copy(update={"tenant_id": tenant_id, "name": name})


def _season(tables: KpiTables) -> np.ndarray:
    """Busier in summer and December, and a little every year."""
    numbers = np.array([day.timetuple().tm_yday for day in tables.dates()])
    return 1 + 0.28 * np.sin((numbers - 80) / 365 * 2 * np.pi) + 0.0003 * np.arange(tables.days)


def _weekday(tables: KpiTables) -> np.ndarray:
    return np.array([(1.0, 1.05, 1.1, 1.2, 1.3, 1.15, 0.6)[day.weekday()] for day in tables.dates()])


def _frame(tenant: Tenant, days: Sequence[date], **columns: object) -> pl.DataFrame:
    return pl.DataFrame({"day": days, "tenant_id": [tenant.tenant_id] * len(days), **columns})  # type: ignore[dict-item]


def _mrr(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    frames = []
    for number in range(tables.projects):
        steps = random.choice([0, 0, 0, 0, 0, 1, -0.6], tables.days) * random.uniform(8000, 60000, tables.days)
        mrr = np.round(random.uniform(0.4, 1.4) * 1_800_000 + np.cumsum(steps + 900)).clip(0)
        change = np.diff(mrr, prepend=mrr[0])
        rate = _rate(tenant)
        moved = {
            "new": np.where(change > 30_000, change, 0),
            "expansion": np.where((change > 0) & (change <= 30_000), change, 0),
            "contraction": np.where((change < 0) & (change >= -20_000), change, 0),
            "churn": np.where(change < -20_000, change, 0),
            "reactivation": np.zeros(tables.days),
        }
        in_euros = np.round(mrr * rate) - np.round((mrr - change) * rate)
        frames.append(
            _frame(
                tenant, tables.dates(),
                currency=[tenant.currency] * tables.days,
                project_id=[None if number == 0 else f"prj-{tenant.tenant_id[:3]}-{number}"] * tables.days,
                mrr_minor=mrr.astype(np.int64),
                mrr_reporting_minor=np.round(mrr * rate).astype(np.int64),
                active_customers=(mrr / 90_000).astype(np.int64),
                fx_minor=np.zeros(tables.days, np.int64),
                opening_mrr_minor=(mrr - change).astype(np.int64),
                opening_mrr_reporting_minor=np.round((mrr - change) * rate).astype(np.int64),
                **{f"{name}_minor": amount.astype(np.int64) for name, amount in moved.items()},
                **{
                    f"{name}_reporting_minor": np.where(amount != 0, in_euros, 0).astype(np.int64)
                    for name, amount in moved.items()
                },
            ).with_columns(pl.col("project_id").cast(pl.String))
        )  # fmt: skip
    return pl.concat(frames)


def _rate(tenant: Tenant) -> float:
    return GBP_TO_EUR if tenant.currency == "GBP" else 1.0


def _split(whole: pl.DataFrame, parts: Sequence[dict[str, object]], amounts: Sequence[str]) -> pl.DataFrame:
    """Each row as several, whose amounts add up to its own: the first takes what does not divide."""
    frames = []
    for number, labels in enumerate(parts):
        share = [
            pl.col(name) // len(parts) + (pl.col(name) % len(parts) if number == 0 else pl.lit(0)) for name in amounts
        ]
        named = [pl.lit(value, dtype=pl.String).alias(name) for name, value in labels.items()]
        frames.append(whole.with_columns(*share, *named))
    return pl.concat(frames)


def _mrr_by_customer(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    projects = _mrr(tables, tenant, random).select(
        "day", "tenant_id", "currency", "project_id", "mrr_minor", "mrr_reporting_minor"
    )
    customers: list[dict[str, object]] = [
        {"customer_ref": f"cus-{tenant.tenant_id[:3]}-{number}"} for number in range(tables.customers)
    ]
    return _split(projects, customers, ["mrr_minor", "mrr_reporting_minor"]).filter(pl.col("mrr_minor") > 0)


def _collection_by_project(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    names = [None, *(f"prj-{tenant.tenant_id[:3]}-{number}" for number in range(1, tables.projects))]
    parts: list[dict[str, object]] = [
        {"project_id": name, "booking_value_band": BANDS[number % len(BANDS)]} for number, name in enumerate(names)
    ]
    amounts = ["collected_minor", "net_invoiced_minor", "invoices"]
    amounts += ["collected_reporting_minor", "net_invoiced_reporting_minor"]
    return _split(_collection(tables, tenant, random), parts, amounts)


def _receivables(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    rate, frames = _rate(tenant), []
    for number in range(tables.projects):
        wave = 1 + 0.2 * np.sin(np.arange(tables.days) / 40 + number)
        owed = {
            bucket: np.round(wave * amount * random.uniform(0.7, 1.3)).astype(np.int64)
            for bucket, amount in zip(BUCKETS, (9_000_000, 3_000_000, 900_000, 400_000, 250_000), strict=True)
        }
        frames.append(
            _frame(
                tenant, tables.dates(),
                currency=[tenant.currency] * tables.days,
                project_id=[f"prj-{tenant.tenant_id[:3]}-{number}" if number else None] * tables.days,
                booking_value_band=[BANDS[number % len(BANDS)]] * tables.days,
                **{f"{bucket}_minor": amount for bucket, amount in owed.items()},
                **{
                    f"{bucket}_reporting_minor": np.round(amount * rate).astype(np.int64)
                    for bucket, amount in owed.items()
                },
                written_off_minor=np.zeros(tables.days, np.int64),
                open_invoices=(owed["not_due"] / 300_000).astype(np.int64) + 5,
            ).with_columns(pl.col("project_id", "booking_value_band").cast(pl.String))
        )  # fmt: skip
    return pl.concat(frames)


def _months(tables: KpiTables) -> list[tuple[date, int, bool]]:
    """Cohorts' months, the months since, and whether these had ended on the last day."""
    newest = tables.last.year * 12 + tables.last.month - 1
    cohorts = range(newest - max(tables.days // 30, 1) + 1, newest + 1)
    is_month_end = (tables.last + timedelta(1)).day == 1
    return [
        (date(month // 12, month % 12 + 1, 1), number, month + number < newest or is_month_end)
        for month in cohorts
        for number in range(newest - month + 1)
    ]


def _customer_cohorts(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    rate, rows = _rate(tenant), []
    sizes = random.integers(4, 40, 400)
    for month, number, has_ended in _months(tables):
        customers = int(sizes[(month.year * 12 + month.month) % 400])
        opening = customers * 90_000
        retained = int(customers * 0.97**number)
        amounts = {"opening_mrr": opening, "retained_mrr": retained * 88_000, "net_mrr": retained * 95_000}
        rows.append(
            {"cohort_month": month, "tenant_id": tenant.tenant_id, "month_number": number, "customers": customers}
            | {"retained_customers": retained if has_ended else None}
            | {f"{name}_minor": amount if has_ended else None for name, amount in amounts.items()}
            | {
                f"{name}_reporting_minor": round(amount * rate) if has_ended else None
                for name, amount in amounts.items()
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def _lead_cohorts(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    sizes = random.integers(10, 60, 400)
    rows = [
        {
            "cohort_month": month,
            "tenant_id": tenant.tenant_id,
            "channel": channel,
            "month_number": number,
            "leads": int(leads),
            "qualified_leads": int(leads * min(0.2 + 0.05 * number, 0.5)) if has_ended else None,
            "converted_leads": int(leads * min(0.02 * number, 0.2)) if has_ended else None,
        }
        for month, number, has_ended in _months(tables)
        for place, channel in enumerate(CHANNELS[:-1])
        for leads in [sizes[(month.year * 12 + month.month + place) % 400]]
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _delays(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    """The departures of `_departures`, those that are late by reason."""
    departures, frames = _departures(tables, tenant, random), []
    late = pl.col("departed") - pl.col("on_time")
    for band, reason, count in (
        ("0_on_plan", None, pl.col("on_time") - pl.col("on_time") // 3),
        ("2_5_to_15", None, pl.col("on_time") // 3),
        ("3_15_to_30", "loading", late - late // 2),
        ("5_60_to_120", "traffic", late // 2),
    ):
        frames.append(
            departures.select(
                "day", "tenant_id", "warehouse_id",
                pl.lit(band).alias("delay_band"),
                pl.lit(reason, dtype=pl.String).alias("delay_reason"),
                count.cast(pl.Int64).alias("departed"),
                (count if reason else pl.lit(0)).cast(pl.Int64).alias("late"),
            )
        )  # fmt: skip
    return pl.concat(frames).filter(pl.col("departed") > 0)


def _flows(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    frames = []
    for flow, steps in (("quote", ("items", "dates", "price", "sent")), ("onboarding", ("account", "team", "import"))):
        reached = random.poisson(30 * _weekday(tables))
        for step in steps:
            completed = random.binomial(reached, 0.8)
            failed = random.binomial(reached - completed, 0.2)
            frames.append(
                _frame(
                    tenant, tables.dates(),
                    project_id=pl.Series([None] * tables.days, dtype=pl.String),
                    flow=[flow] * tables.days,
                    step=[step] * tables.days,
                    reached_runs=reached,
                    completed_runs=completed,
                    failed_runs=failed,
                    abandoned_runs=reached - completed - failed,
                ).filter(pl.col("reached_runs") > 0)
            )  # fmt: skip
            reached = completed
    return pl.concat(frames)


def _anomalies(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    """A few days of each tenant that a rule reports among many that none does, and one of all tenants."""
    del random
    rows = [
        {
            "day": day,
            "tenant_id": who,
            "kpi": kpi,
            "series": series,
            "observed": 40.0,
            "expected": 62.5,
            "lower": 55.0,
            "upper": 70.0,
            "score": -9.0,
            "rule": "seasonal",
            "is_anomaly": back == 3,
            "reason": "far below what its weekday lets expect",
        }
        for back in range(min(tables.days, 10))
        for day in [tables.last - timedelta(back)]
        for who, series in ((tenant.tenant_id, "headline"), ("all", "headline"), ("all", "category=lighting"))
        for kpi in ("equipment_utilisation", "mrr")
        if (who != "all" or tenant is tables.tenants[0]) and (kpi == "equipment_utilisation" or series == "headline")
    ]
    return pl.DataFrame(rows)


def _collection(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    invoiced = np.round(90_000_000 * random.uniform(0.6, 1.4) * np.linspace(0.8, 1.1, tables.days))
    wave = (
        0.935
        + 0.03 * np.sin(np.arange(tables.days) / 47 + random.uniform(0, 6))
        + random.normal(0, 0.0015, tables.days)
    )
    rate = GBP_TO_EUR if tenant.currency == "GBP" else 1.0
    frames = [
        _frame(
            tenant, tables.dates(),
            basis=[basis] * tables.days,
            currency=[tenant.currency] * tables.days,
            collected_minor=np.round(invoiced * wave * factor).astype(np.int64),
            net_invoiced_minor=invoiced.astype(np.int64),
            invoices=(invoiced / 240_000).astype(np.int64),
            collected_reporting_minor=np.round(np.round(invoiced * wave * factor) * rate).astype(np.int64),
            net_invoiced_reporting_minor=np.round(invoiced * rate).astype(np.int64),
        )
        for basis, factor in (("due", 1.0), ("issued", 0.93))
    ]  # fmt: skip
    return pl.concat(frames)


def _utilisation(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    frames = []
    for category in CATEGORIES:
        for number in range(tables.warehouses):
            fleet = np.full(tables.days, int(random.integers(20, 160)))
            share = random.uniform(0.4, 0.62) * _season(tables) * (0.85 + 0.15 * _weekday(tables))
            rented = random.binomial(fleet, share.clip(0.02, 0.97))
            frames.append(
                _frame(
                    tenant, tables.dates(),
                    category=[category] * tables.days,
                    warehouse_id=[f"wh-{tenant.tenant_id[:3]}-{number + 1}"] * tables.days,
                    fleet_items=fleet,
                    on_rent_items=rented,
                    maintenance_items=random.binomial(fleet - rented, 0.08),
                    fleet_cost_minor=fleet * 420_000,
                    on_rent_cost_minor=rented * 420_000,
                )
            )  # fmt: skip
    return pl.concat(frames)


def _departures(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    frames = []
    for number in range(tables.warehouses):
        planned = random.poisson(5 * _season(tables) * _weekday(tables))
        cancelled = random.binomial(planned, 0.02)
        departed = planned - cancelled
        rate = (0.9 + 0.06 * np.sin(np.arange(tables.days) / 60 + number)).clip(0, 1)
        frames.append(
            _frame(
                tenant, tables.dates(),
                warehouse_id=[f"wh-{tenant.tenant_id[:3]}-{number + 1}"] * tables.days,
                planned=planned,
                departed=departed,
                on_time=random.binomial(departed, rate),
                cancelled=cancelled,
                never_departed=np.zeros(tables.days, np.int64),
            )
        )  # fmt: skip
    return pl.concat(frames)


def _nps(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    frames = []
    for touchpoint, mood in (("after_event", 0.55), ("invoice", 0.38), ("support", 0.45), ("onboarding", 0.3)):
        answers = np.full(tables.days, int(random.integers(40, 120)))
        likes = mood + 0.08 * np.sin(np.arange(tables.days) / 70 + random.uniform(0, 6))
        promoters = np.round(answers * likes).astype(np.int64)
        detractors = np.round((answers - promoters) * 0.28).astype(np.int64)
        frames.append(
            _frame(
                tenant, tables.dates(),
                touchpoint=[touchpoint] * tables.days,
                promoters=promoters,
                passives=answers - promoters - detractors,
                detractors=detractors,
            )
        )  # fmt: skip
    return pl.concat(frames)


def _tickets(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    per_day = 1 + random.poisson(2 * _weekday(tables))
    days = [day for day, count in zip(tables.dates(), per_day, strict=True) for _ in range(count)]
    minutes = np.round(random.lognormal(6.9, 1.0, len(days)), 4)
    resolved = [datetime(day.year, day.month, day.day, 15, tzinfo=UTC).replace(tzinfo=None) for day in days]
    opened = [at - timedelta(minutes=float(spent)) for at, spent in zip(resolved, minutes, strict=True)]
    count = len(days)
    return pl.DataFrame(
        {
            "tenant_id": [tenant.tenant_id] * count,
            "ticket_id": [f"tkt-{tenant.tenant_id[:3]}-{number:06}" for number in range(count)],
            "resolved_on": days,
            "priority": random.choice(["low", "normal", "high", "urgent"], count, p=[0.2, 0.5, 0.2, 0.1]),
            "category": random.choice(["billing", "equipment", "planning", "access"], count),
            "opened_at": opened,
            "first_resolved_at": resolved,
            "resolved_at": resolved,
            "reopen_count": random.binomial(2, 0.06, count),
            "first_resolution_minutes": np.round(minutes * 0.9, 4),
            "final_resolution_minutes": minutes,
            "first_resolution_business_minutes": np.round(minutes * 0.3, 4),
            "final_resolution_business_minutes": np.round(minutes * 0.35, 4),
            "on_hold_minutes": np.round(minutes * 0.1, 4),
        },
        schema_overrides={
            "resolved_on": pl.Date,
            "opened_at": pl.Datetime("us"),
            "priority": pl.String,
            "category": pl.String,
        },
    )


def _ticket_resolution(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    minutes = pl.col("final_resolution_minutes")
    return (
        _tickets(tables, tenant, random)
        .group_by(pl.col("resolved_on").alias("day"), "tenant_id", "priority", "category")
        .agg(
            pl.len().cast(pl.Int64).alias("resolved"),
            minutes.median().alias("median_final_resolution_minutes"),
            minutes.quantile(0.9, "linear").alias("p90_final_resolution_minutes"),
            minutes.mean().alias("mean_final_resolution_minutes"),
        )
    )


def _leads(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    frames = []
    for index, channel in enumerate(CHANNELS):
        counts = random.poisson(0.5 * (1 + index % 3) * _season(tables))
        campaign = [f"{channel}_spring" if channel in {"paid_search", "email"} else None] * tables.days
        frame = _frame(
            tenant, tables.dates(),
            channel=[channel] * tables.days,
            campaign=campaign,
            qualified_leads=counts,
            est_value_reporting_minor=counts * 350_000,
        ).with_columns(pl.col("channel", "campaign").cast(pl.String))  # fmt: skip
        frames.append(frame.filter(pl.col("qualified_leads") > 0))
    return pl.concat(frames)


def _conversion(tables: KpiTables, tenant: Tenant, random: np.random.Generator) -> pl.DataFrame:
    frames = []
    for index, channel in enumerate((*CHANNELS[:-1], "unattributed")):
        created = random.poisson(3.0 + index, tables.days) * (channel != "unattributed")
        converted = random.binomial(created, 0.05 + 0.02 * index)
        frames += [
            _frame(
                tenant,
                tables.dates(),
                channel=[channel] * tables.days,
                model=[model] * tables.days,
                created=created.astype(float),
                converted=converted * (1.0 if model == "first_touch" else 0.9),
                converted_value_reporting_minor=converted * 900_000,
            )
            for model in ("first_touch", "last_touch", "linear", "position")
        ]
    return pl.concat(frames)


BUILDERS = {
    "kpi.kpi_mrr": _mrr,
    "kpi.kpi_mrr_by_customer": _mrr_by_customer,
    "kpi.kpi_invoice_collection_rate": _collection,
    "kpi.kpi_invoice_collection_by_project": _collection_by_project,
    "kpi.kpi_receivables": _receivables,
    "kpi.kpi_customer_cohorts": _customer_cohorts,
    "kpi.kpi_departure_delays": _delays,
    "kpi.kpi_lead_cohorts": _lead_cohorts,
    "kpi.kpi_flow_conversion": _flows,
    "kpi.kpi_anomalies": _anomalies,
    "kpi.kpi_equipment_utilisation": _utilisation,
    "kpi.kpi_on_time_departures": _departures,
    "kpi.kpi_nps": _nps,
    "kpi.kpi_ticket_resolution": _ticket_resolution,
    "marts.fct_ticket_resolutions": _tickets,
    "kpi.kpi_qualified_leads": _leads,
    "kpi.kpi_channel_conversion": _conversion,
}
