select
    arrived_on as day,
    tenant_id,
    warehouse_id,
    vehicle_ref,
    count(*) as arrived,
    count(case when is_on_time then 1 end) as on_time
from {{ ref("fct_arrivals") }}
where {{ built_days("arrived_on") }}
group by arrived_on, tenant_id, warehouse_id, vehicle_ref
