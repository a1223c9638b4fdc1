with registrations as (
    select
        *,
        min(occurred_at) over (partition by tenant_id, equipment_id) as registered_at,
        min(occurred_on) over (partition by tenant_id, equipment_id) as registered_on,
        row_number() over (
            partition by tenant_id, equipment_id
            order by occurred_at desc, event_at desc, message_id desc
        ) as newest
    from {{ ref("stg_inventory__equipment_registered") }}
)

select
    tenant_id,
    equipment_id,
    project_id,
    sku,
    category,
    home_warehouse_id,
    acquisition_cost_minor,
    currency,
    registered_at,
    registered_on
from registrations
where newest = 1
