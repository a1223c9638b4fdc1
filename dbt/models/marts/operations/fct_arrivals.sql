-- Arrivals of vehicles, one for each transport: the first that is told. A plan of arrival is known by the arrival
-- alone, so what never arrives is no row here.

with arrivals as (
    select * from {{ ref("stg_transport__transport_arrived") }}
    qualify row_number() over (
        partition by tenant_id, transport_id order by arrived_at, received_at, message_id
    ) = 1
),

origins as (
    select
        tenant_id,
        transport_id,
        warehouse_id,
        vehicle_ref,
        occurred_at,
        received_at,
        message_id
    from {{ ref("stg_transport__transport_scheduled") }}
    union all
    select
        tenant_id,
        transport_id,
        warehouse_id,
        cast(null as {{ text_type() }}) as vehicle_ref,
        occurred_at,
        received_at,
        message_id
    from {{ ref("stg_transport__transport_departed") }}
),

told as (
    -- The vehicle is named by schedules alone, the warehouse by departures too: of each, the last told before it arrived.
    select
        a.tenant_id,
        a.transport_id,
        last_value(o.warehouse_id ignore nulls) over (
            partition by a.tenant_id, a.transport_id order by o.occurred_at, o.received_at, o.message_id
            rows between unbounded preceding and unbounded following
        ) as warehouse_id,
        last_value(o.vehicle_ref ignore nulls) over (
            partition by a.tenant_id, a.transport_id order by o.occurred_at, o.received_at, o.message_id
            rows between unbounded preceding and unbounded following
        ) as vehicle_ref
    from arrivals as a
    inner join origins as o
        on
            a.tenant_id = o.tenant_id and a.transport_id = o.transport_id
            and a.arrived_at >= o.occurred_at
),

known_origins as (
    select
        tenant_id,
        transport_id,
        min(warehouse_id) as warehouse_id,
        min(vehicle_ref) as vehicle_ref
    from told
    group by tenant_id, transport_id
),

measured as (
    select
        a.tenant_id,
        a.transport_id,
        a.occurred_on as arrived_on,
        a.project_id,
        o.warehouse_id,
        o.vehicle_ref,
        a.planned_arrival_at,
        a.arrived_at,
        t.on_time_threshold_minutes,
        {{ microseconds_between("a.planned_arrival_at", "a.arrived_at") }} as delay_us
    from arrivals as a
    inner join {{ ref("dim_tenants") }} as t on a.tenant_id = t.tenant_id
    left join known_origins as o on a.tenant_id = o.tenant_id and a.transport_id = o.transport_id
)

select
    tenant_id,
    transport_id,
    arrived_on,
    project_id,
    warehouse_id,
    vehicle_ref,
    planned_arrival_at,
    arrived_at,
    {{ minutes("delay_us") }} as delay_minutes,
    delay_us < on_time_threshold_minutes * cast(60000000 as bigint) as is_on_time
from measured
