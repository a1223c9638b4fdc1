select
    day,
    tenant_id,
    category,
    warehouse_id,
    count(case when is_in_fleet then 1 end) as fleet_items,
    count(case when is_on_rent then 1 end) as on_rent_items,
    count(case when is_in_maintenance then 1 end) as maintenance_items,
    count(case when has_conflict then 1 end) as conflicting_items,
    cast(coalesce(sum(case when is_in_fleet then cost_minor end), 0) as bigint) as fleet_cost_minor,
    cast(coalesce(sum(case when is_on_rent then cost_minor end), 0) as bigint) as on_rent_cost_minor
from {{ ref("fct_equipment_days") }}
where {{ built_days() }}
group by day, tenant_id, category, warehouse_id
