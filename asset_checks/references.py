"""References between events, over all streams: what is named has been told by somebody.

One query per run, over the loaded rows: the days of the run name, all days may have told. Limits are the catalogue's
(`references.yaml`), since the one may be late; nothing blocks.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.quality import Reference
from analytics_platform.defs.loaded import stream_table
from asset_checks.factory import Facts

_SHOWN = 5
"""Samples of a day's missing keys."""


@dataclass(frozen=True)
class Named:
    """How often a reference of a day names something, and how often something that nobody told.

    Attributes:
        reference: its name.
        rows: rows that name something.
        missing: of these, how many name what no event has told.
        samples: some of the missing keys, tenant and id.
    """

    reference: str
    rows: int
    missing: int
    samples: Sequence[str] = ()


def references_resolve(day: date, named: Sequence[Named], references: Mapping[str, Reference]) -> Facts:
    """No reference of a stream names more unknown things than its limit allows."""
    beyond = [each for each in named if references[each.reference].missing.is_exceeded(each.missing, each.rows)]
    offenders = [
        line
        for each in beyond
        for line in (
            f"{day} {each.reference}: {each.missing} of {each.rows} name nothing that is known",
            *(f"{day} {each.reference}: {sample}" for sample in each.samples),
        )
    ]
    checked, failed = sum(each.rows for each in named), sum(each.missing for each in named)
    counts = {f"missing_{each.reference}": each.missing for each in named if each.missing}
    summary = f"{failed:,} of {checked:,} references name nothing that is known; {len(beyond)} kinds beyond their limit"
    return Facts(not offenders, summary, {"references": len(references), **counts}, offenders, checked, failed)


def references_of(catalog: Catalog, stream: str) -> dict[str, Reference]:
    """The references that events of a stream make."""
    return {
        name: reference
        for name, reference in catalog.references.items()
        if catalog.events[reference.event].stream == stream
    }


def references_query(
    catalog: Catalog, references: Collection[Reference], first: date, last: date
) -> tuple[str, list[object]]:
    """One query for all: `reference`, `day`, `rows`, `missing`, `samples`, for each day that names anything."""
    parts, parameters = [], []
    for reference in references:
        parts.append(_one(catalog, reference))
        parameters += [reference.event, first, last, reference.to]
    return " union all ".join(parts), parameters


def _one(catalog: Catalog, reference: Reference) -> str:
    naming, told = (stream_table(catalog.events[name].stream) for name in (reference.event, reference.to))
    classes = {field.name: field.pii for field in catalog.events[reference.event].all_fields}
    shown = "naming.id" if classes[reference.field] == "none" else "'(a pseudonym, not shown)'"
    return f"""
        select
            '{reference.name}' as reference,
            day,
            cast(sum(times) as bigint) as rows,
            cast(sum(case when lost is null then 0 else times end) as bigint) as missing,
            list(lost) filter (lost is not null and place <= {_SHOWN}) as samples
        from (
            select day, lost, count(*) as times, row_number() over (partition by day order by lost) as place
            from (
                select
                    naming.day, case when told.id is null then naming.tenant_id || ' ' || {shown} end as lost
                from (
                    select day, tenant_id, properties ->> '$.{reference.field}' as id
                    from {naming}
                    where event = ? and day between ? and ?
                ) as naming
                left join (
                    select distinct tenant_id, properties ->> '$.{reference.to_field}' as id from {told} where event = ?
                ) as told
                    on naming.tenant_id = told.tenant_id and naming.id = told.id
                where naming.id is not null
            ) as named
            group by day, lost
        ) as counted
        group by day
    """
