"""SQL that reads the declared headlines of KPIs, per day and any parts: made from the catalogue alone.

``executive_overview/kpi_headlines`` and whatever judges KPI series read the same figures, because they ask here. A row
has the numerator and the denominator of the catalogue, so that a consumer may add up tenants and days: money is
declared in the reporting currency. A median cannot be added up, stands alone, and is taken of the fact rows that the
headline names. How tables are filled is dbt's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analytics_platform.catalog import Headline, Kpi

ALL_TENANTS = "all"
"""Stands for a tenant where the figure is that of all tenants together; no tenant may have the name."""


def headlines_query(kpis: Iterable[Kpi]) -> tuple[str, int]:
    """SQL for the headlines of these KPIs, and how many times it takes the parameters (first day, last day).

    Columns: day, tenant_id, kpi, numerator, denominator, value; the value is null when the denominator is zero. A sum
    has no denominator, and a median stands in numerator and value alike.
    """
    selects = [_headline_select(kpi) for kpi in kpis]
    return "\nunion all\n".join(selects), len(selects)


def _headline_select(kpi: Kpi) -> str:
    headline = kpi.headline
    day = headline.day_column
    numerator, denominator, value = _terms(headline)
    conditions = _conditions(headline)
    return (
        f"select cast({day} as date) as day, tenant_id, '{kpi.name}' as kpi, {numerator} as numerator, "
        f"{denominator} as denominator, {value} * {headline.scale!r} as value\n"
        f"from {kpi.headline_table} where {day} between ? and ?{conditions}\n"
        f"group by {day}, tenant_id"
    )


def series_query(kpi: Kpi, headline: Headline, *, by_tenant: bool, column: str | None = None) -> str:
    """SQL for the daily series of a KPI between two days (parameters): per tenant or of all, and per part of a column.

    Columns: day, tenant_id, part (null without a column), value. ``headline`` is the KPI's own, or the same in tenants'
    own currencies.
    """
    groups = _parts(headline, by_tenant=by_tenant, column=column)
    return (
        f"select {_labels(headline, by_tenant=by_tenant, column=column)}, "
        f"{_terms(headline)[2]} * {headline.scale!r} as value\n"
        f"from {kpi.headline_table} where {headline.day_column} between ? and ?{_conditions(headline)}\n"
        f"group by {', '.join(groups)}"
    )


def births_query(kpi: Kpi, headline: Headline, *, by_tenant: bool, column: str | None = None) -> str:
    """SQL for the first day of each series of :func:`series_query`, in all of history up to a day (parameter)."""
    groups = _parts(headline, by_tenant=by_tenant, column=column)[1:]
    labels = _labels(headline, by_tenant=by_tenant, column=column).replace(
        f"cast({headline.day_column} as date) as day", f"cast(min({headline.day_column}) as date) as day"
    )
    having = f"\ngroup by {', '.join(groups)}" if groups else "\nhaving count(*) > 0"
    return f"select {labels}\nfrom {kpi.headline_table} where {headline.day_column} <= ?{_conditions(headline)}{having}"


def currencies_query(kpi: Kpi, headline: Headline) -> str:
    """SQL for the currencies in which tenants have amounts on the days between two (parameters).

    Columns: day, tenant_id, currency. A currency keeps its rows when its last customer has gone: 0 is no amount.
    """
    day = headline.day_column
    amounts = " or ".join(f"{term.removeprefix('-')} <> 0" for term in headline.numerator)
    return (
        f"select distinct cast({day} as date) as day, tenant_id, currency\n"
        f"from {kpi.headline_table} where {day} between ? and ? and currency is not null and ({amounts})"
        f"{_conditions(headline)}"
    )


def in_own_currency(headline: Headline, columns: Sequence[str]) -> Headline:
    """The headline over amounts in tenants' own currencies where its table has them."""

    def term(signed: str) -> str:
        sign = "-" if signed.startswith("-") else ""
        return sign + money_column(signed.removeprefix("-"), columns, in_reporting=False)

    changed = {name: tuple(map(term, getattr(headline, name))) for name in ("numerator", "denominator")}
    return headline.model_copy(update=changed)


def money_column(name: str, columns: Sequence[str], *, in_reporting: bool) -> str:
    """The column with an amount in the wanted currency, where the table has it in both."""
    own = name.replace("_reporting_minor", "_minor")
    wanted = own.replace("_minor", "_reporting_minor") if in_reporting else own
    return wanted if wanted in columns else name


def _parts(headline: Headline, *, by_tenant: bool, column: str | None) -> list[str]:
    return [headline.day_column, *(["tenant_id"] if by_tenant else []), *([column] if column else [])]


def _labels(headline: Headline, *, by_tenant: bool, column: str | None) -> str:
    tenant = "tenant_id" if by_tenant else f"'{ALL_TENANTS}' as tenant_id"
    part = f"coalesce({_text(column)}, '')" if column else _text("null")
    return f"cast({headline.day_column} as date) as day, {tenant}, {part} as part"


def _text(expression: str) -> str:
    return f"cast({expression} as varchar)"


def _conditions(headline: Headline) -> str:
    return "".join(f" and {column} = '{text}'" for column, text in headline.filter.items())


def _terms(headline: Headline) -> tuple[str, str, str]:
    """Numerator, denominator and unscaled value as SQL."""
    if headline.kind == "median":
        median = f"cast(median({headline.numerator[0]}) as double)"
        return median, "cast(null as double)", median
    numerator = _sum(headline.numerator)
    if headline.kind == "sum":
        return numerator, "cast(null as double)", numerator
    denominator = _sum(headline.denominator)
    return numerator, denominator, f"{numerator} / nullif({denominator}, 0)"


def _sum(terms: tuple[str, ...]) -> str:
    """The sum of columns over rows; a leading minus subtracts the column."""
    parts = []
    for term in terms:
        sign = "-" if term.startswith("-") else "+"
        parts.append(f"{sign} coalesce(sum({term.removeprefix('-')}), 0)")
    return f"cast({' '.join(parts).removeprefix('+ ')} as double)"
