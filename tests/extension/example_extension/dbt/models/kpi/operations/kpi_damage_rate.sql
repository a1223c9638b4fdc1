-- Items of the fleet by category, and those of them with a report of the day: an item counts once, however often reported.

with damaged as (
    select distinct
        tenant_id,
        equipment_id,
        reported_on
    from {{ ref("fct_damage_reports") }}
    where {{ built_days("reported_on") }}
)

select
    fleet.day,
    fleet.tenant_id,
    fleet.category,
    count(*) as fleet_items,
    count(damaged.equipment_id) as damaged_items
from {{ ref("fct_equipment_days") }} as fleet
left join damaged
    on
        fleet.tenant_id = damaged.tenant_id
        and fleet.equipment_id = damaged.equipment_id
        and fleet.day = damaged.reported_on
where fleet.is_in_fleet and {{ built_days("fleet.day") }}
group by fleet.day, fleet.tenant_id, fleet.category
