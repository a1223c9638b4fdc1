-- The counts of kpi_on_time_departures by what may explain them, settled with them.
{{ config(materialized="incremental", incremental_strategy="replace_settling_days", settling_days=2) }}

with departures as (
    -- A reason is that of the departure, and counts when the departure does.
    select
        *,
        case when outcome = 'departed' and not is_on_time then delay_reason end as late_reason
    from {{ ref("fct_departures") }}
    where {{ settling_days("planned_on") }}
)

select
    planned_on as day,
    tenant_id,
    warehouse_id,
    vehicle_ref,
    late_reason as delay_reason,
    count(*) as planned,
    count(case when outcome = 'departed' then 1 end) as departed,
    count(case when is_on_time then 1 end) as on_time,
    count(case when outcome = 'cancelled' then 1 end) as cancelled,
    count(case when outcome = 'never_departed' then 1 end) as never_departed
from departures
group by planned_on, tenant_id, warehouse_id, vehicle_ref, late_reason
