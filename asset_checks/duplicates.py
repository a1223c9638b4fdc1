"""Messages that are loaded twice: rows with one tenant and message id, also on two days.

A raw partition holds a message once; one whose time was corrected differently when it came again lies on two days.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from asset_checks.factory import Facts

TWICE_QUERY = """
    with span as (select day, tenant_id, message_id from {table} where day between ? and ?),
    twice as (
        select tenant_id, message_id, count(*) as times, min(day) as first_day
        from {table}
        where message_id in (select message_id from span)
        group by tenant_id, message_id
        having count(*) > 1
    )
    select day, null as tenant_id, null as message_id, count(*) as times, null as first_day from span group by day
    union all
    select distinct span.day, twice.tenant_id, twice.message_id, twice.times, twice.first_day
    from span
    inner join twice on span.tenant_id = twice.tenant_id and span.message_id = twice.message_id
"""
"""For a stream's `{table}`: of each day of a span the rows, and the messages that any other row is of too."""


def no_message_is_loaded_twice(day: date, rows: Sequence[Mapping[str, Any]]) -> Facts:
    """No message is in two rows; a doubled one is told on each of its days.

    Args:
        day: the day that is judged.
        rows: those of `TWICE_QUERY` for the day.
    """
    checked = sum(row["times"] for row in rows if row["message_id"] is None)
    offenders = [
        f"{day} {row['tenant_id']} {row['message_id']}: {row['times']} rows, the first on {row['first_day']}"
        for row in rows
        if row["message_id"] is not None
    ]
    summary = f"{len(offenders)} of {checked:,} messages are loaded more than once"
    return Facts(not offenders, summary, {"rows": checked}, offenders, checked, len(offenders))
