-- How late the departures of kpi_on_time_departures left, in bands, and why; settled with them.
{{ config(materialized="incremental", incremental_strategy="replace_settling_days", settling_days=2) }}

with departures as (
    select
        planned_on as day,
        tenant_id,
        warehouse_id,
        {{ delay_band("delay_minutes") }} as delay_band,
        case when not is_on_time then delay_reason end as delay_reason,
        is_on_time
    from {{ ref("fct_departures") }}
    where outcome = 'departed' and {{ settling_days("planned_on") }}
)

select
    day,
    tenant_id,
    warehouse_id,
    delay_band,
    delay_reason,
    count(*) as departed,
    count(case when not is_on_time then 1 end) as late
from departures
group by day, tenant_id, warehouse_id, delay_band, delay_reason
