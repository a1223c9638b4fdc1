-- A departure of the late evening leaves after midnight, and its 24 hours end a day later, or two where the clock
-- changes. Those days are rebuilt with the range.
{{ config(materialized="incremental", incremental_strategy="replace_settling_days", settling_days=2) }}

select
    planned_on as day,
    tenant_id,
    warehouse_id,
    count(*) as planned,
    count(case when outcome = 'departed' then 1 end) as departed,
    count(case when is_on_time then 1 end) as on_time,
    count(case when outcome = 'cancelled' then 1 end) as cancelled,
    count(case when outcome = 'never_departed' then 1 end) as never_departed
from {{ ref("fct_departures") }}
where {{ settling_days("planned_on") }}
group by planned_on, tenant_id, warehouse_id
