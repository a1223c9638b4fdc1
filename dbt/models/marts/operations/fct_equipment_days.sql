-- One row for each registered item and day: where it stood when the tenant's business day closed.
{{ config(
    materialized="incremental", incremental_strategy="replace_days", on_schema_change="append_new_columns", full_refresh=false,
    partition_by={"field": "day", "data_type": "date"} if target.type == "bigquery" else none
) }}

with registrations as (
    -- What a later registration corrects holds from its own day.
    select
        r.tenant_id,
        r.equipment_id,
        r.project_id,
        r.sku,
        r.category,
        r.home_warehouse_id,
        r.occurred_at,
        r.occurred_on,
        coalesce(r.currency, t.currency) as currency,
        t.currency as tenant_currency,
        r.acquisition_cost_minor,
        lead(r.occurred_on) over (
            partition by r.tenant_id, r.equipment_id order by r.occurred_at, r.received_at, r.message_id
        ) as replaced_on
    from {{ ref("stg_inventory__equipment_registered") }} as r
    inner join {{ ref("dim_tenants") }} as t on r.tenant_id = t.tenant_id
    where r.occurred_on <= {{ end_day() }}
),

items as (
    -- Costs of one tenant are added up, so a cost in another currency is brought to the tenant's own.
    select
        r.*,
        case
            when r.currency = r.tenant_currency then r.acquisition_cost_minor
            else {{ exchanged("r.acquisition_cost_minor", "bought.rate_to_reporting", "own.rate_to_reporting") }}
        end as cost_minor
    from registrations as r
    left join {{ ref("fx_rates") }} as bought
        on
            r.currency = bought.currency
            and {{ month_of("r.occurred_on") }} = bought.month
    left join {{ ref("fx_rates") }} as own
        on
            r.tenant_currency = own.currency
            and {{ month_of("r.occurred_on") }} = own.month
),

closing_spans as (
    -- Of the spans of one day only the last reaches its close.
    select
        tenant_id,
        equipment_id,
        status,
        has_conflict,
        started_on,
        coalesce(ended_on, date '9999-12-31') as ended_on
    from {{ ref("fct_equipment_status_spans") }}
    where
        started_on <= {{ end_day() }}
        and coalesce(ended_on, date '9999-12-31') > greatest(started_on, {{ start_day() }})
)

select
    d.day,
    i.tenant_id,
    i.equipment_id,
    i.project_id,
    i.sku,
    i.category,
    i.home_warehouse_id as warehouse_id,
    s.status as status_at_close,
    not {{ is_out_of_fleet("s.status") }} as is_in_fleet,
    {{ is_on_rent("s.status") }} as is_on_rent,
    {{ is_in_maintenance("s.status") }} as is_in_maintenance,
    s.has_conflict,
    i.cost_minor
from items as i
inner join closing_spans as s
    on
        i.tenant_id = s.tenant_id and i.equipment_id = s.equipment_id
        and s.started_on < coalesce(i.replaced_on, date '9999-12-31') and i.occurred_on < s.ended_on
inner join {{ day_spine() }} as d
    on
        d.day >= greatest(s.started_on, i.occurred_on)
        and d.day < least(s.ended_on, coalesce(i.replaced_on, date '9999-12-31'))
