-- Planned departures and what became of them within 24 hours. A plan counts for its day when it is the latest
-- one at the close of that day: moved before, it leaves the day; moved after it was missed, it stays missed.

with tenants as (
    select
        tenant_id,
        time_zone,
        on_time_threshold_minutes
    from {{ ref("dim_tenants") }}
),

schedules as (
    select
        s.tenant_id,
        s.transport_id,
        s.project_id,
        s.warehouse_id,
        s.vehicle_ref,
        s.direction,
        s.planned_departure_at,
        {{ business_date("s.planned_departure_at", "t.time_zone") }} as planned_on,
        s.occurred_at as scheduled_at,
        s.occurred_on as scheduled_on,
        row_number() over (
            partition by s.tenant_id, s.transport_id order by s.occurred_at, s.received_at, s.message_id
        ) as schedule_no
    from {{ ref("stg_transport__transport_scheduled") }} as s
    inner join tenants as t on s.tenant_id = t.tenant_id
),

followed as (
    select
        *,
        lead(scheduled_on) over (
            partition by tenant_id, transport_id order by schedule_no
        ) as next_scheduled_on
    from schedules
),

binding_schedules as (
    -- A plan that was recorded after its day (a back-dated one) is judged from the day of its recording.
    select
        *,
        row_number() over (
            partition by tenant_id, transport_id, planned_on order by schedule_no desc
        ) as from_latest
    from followed
    where next_scheduled_on is null or next_scheduled_on > greatest(planned_on, scheduled_on)
),

departures as (
    -- A vehicle leaves once: what is told again later does not count.
    select * from {{ ref("stg_transport__transport_departed") }}
    qualify row_number() over (
        partition by tenant_id, transport_id order by departed_at, received_at, message_id
    ) = 1
),

arrivals as (
    select * from {{ ref("stg_transport__transport_arrived") }}
    qualify row_number() over (
        partition by tenant_id, transport_id order by arrived_at, received_at, message_id
    ) = 1
),

cancellations as (
    select * from {{ ref("stg_transport__transport_cancelled") }}
),

told_otherwise as (
    select
        tenant_id,
        transport_id,
        project_id,
        warehouse_id,
        planned_departure_at,
        1 as preference,
        departed_at as told_at,
        message_id
    from departures
    union all
    select
        tenant_id,
        transport_id,
        project_id,
        cast(null as varchar) as warehouse_id,
        planned_departure_at,
        2 as preference,
        cancelled_at as told_at,
        message_id
    from cancellations
),

unscheduled as (
    -- Whose schedule never came: the departure, else the first cancellation, states the plan.
    select o.*
    from told_otherwise as o
    left join schedules as s
        on o.tenant_id = s.tenant_id and o.transport_id = s.transport_id and s.schedule_no = 1
    where s.transport_id is null
    qualify row_number() over (
        partition by o.tenant_id, o.transport_id order by o.preference, o.told_at, o.message_id
    ) = 1
),

plans as (
    select
        tenant_id,
        transport_id,
        schedule_no,
        project_id,
        warehouse_id,
        vehicle_ref,
        direction,
        planned_departure_at,
        planned_on,
        scheduled_at
    from binding_schedules
    where from_latest = 1
    union all
    select
        u.tenant_id,
        u.transport_id,
        1 as schedule_no,
        u.project_id,
        u.warehouse_id,
        cast(null as varchar) as vehicle_ref,
        cast(null as varchar) as direction,
        u.planned_departure_at,
        {{ business_date("u.planned_departure_at", "t.time_zone") }} as planned_on,
        cast(null as timestamp) as scheduled_at
    from unscheduled as u
    inner join tenants as t on u.tenant_id = t.tenant_id
),

departed_plans as (
    -- A departure fulfils the plan in force when the vehicle left, else the first one.
    select
        p.tenant_id,
        p.transport_id,
        p.schedule_no,
        d.departed_at,
        d.loaded_items,
        d.expected_items,
        d.delay_reason,
        row_number() over (
            partition by p.tenant_id, p.transport_id
            order by
                case when p.scheduled_at > d.departed_at then 1 else 0 end,
                case when p.scheduled_at > d.departed_at then p.schedule_no else -p.schedule_no end
        ) as preference
    from plans as p
    inner join departures as d
        on p.tenant_id = d.tenant_id and p.transport_id = d.transport_id
),

cancelled_schedules as (
    -- A cancellation ends the schedule in force at that moment; a later schedule revives the transport.
    select
        c.tenant_id,
        c.transport_id,
        c.message_id,
        c.cancelled_at,
        coalesce(max(case when s.scheduled_at <= c.cancelled_at then s.schedule_no end), 1) as schedule_no
    from cancellations as c
    left join schedules as s on c.tenant_id = s.tenant_id and c.transport_id = s.transport_id
    group by c.tenant_id, c.transport_id, c.message_id, c.cancelled_at
),

cancelled_plans as (
    select
        tenant_id,
        transport_id,
        schedule_no,
        min(cancelled_at) as cancelled_at
    from cancelled_schedules
    group by tenant_id, transport_id, schedule_no
),

outcomes as (
    select
        p.*,
        d.departed_at,
        d.loaded_items,
        d.expected_items,
        d.delay_reason,
        c.cancelled_at,
        a.planned_arrival_at,
        a.arrived_at,
        t.on_time_threshold_minutes,
        {{ minutes(microseconds_between("p.planned_departure_at", "d.departed_at")) }} as delay_minutes,
        case
            when d.departed_at <= {{ add_hours("p.planned_departure_at", 24) }} then 'departed'
            when c.cancelled_at <= {{ add_hours("p.planned_departure_at", 24) }} then 'cancelled'
            else 'never_departed'
        end as outcome
    from plans as p
    inner join tenants as t on p.tenant_id = t.tenant_id
    left join departed_plans as d
        on
            p.tenant_id = d.tenant_id and p.transport_id = d.transport_id
            and p.schedule_no = d.schedule_no and d.preference = 1
    left join cancelled_plans as c
        on p.tenant_id = c.tenant_id and p.transport_id = c.transport_id and p.schedule_no = c.schedule_no
    left join arrivals as a
        on
            p.tenant_id = a.tenant_id and p.transport_id = a.transport_id
            and d.departed_at is not null
)

select
    tenant_id,
    transport_id,
    planned_on,
    project_id,
    warehouse_id,
    vehicle_ref,
    direction,
    scheduled_at,
    planned_departure_at,
    departed_at,
    cancelled_at,
    outcome,
    delay_minutes,
    outcome = 'departed' and delay_minutes < on_time_threshold_minutes as is_on_time,
    delay_reason,
    loaded_items,
    expected_items,
    planned_arrival_at,
    arrived_at
from outcomes
