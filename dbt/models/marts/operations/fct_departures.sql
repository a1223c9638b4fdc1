-- Planned departures and what became of them within 24 hours. A plan counts for its day when it is the latest
-- one at the close of that day: moved before, it leaves the day; moved after it was missed, it stays missed.
-- What is stated once its day has settled (two days later), or after the vehicle left, plans nothing any more.

with tenants as (
    select
        tenant_id,
        time_zone,
        on_time_threshold_minutes
    from {{ ref("dim_tenants") }}
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

schedules as (
    select
        *,
        min(occurred_at) over (partition by tenant_id, transport_id) as first_scheduled_at
    from {{ ref("stg_transport__transport_scheduled") }}
),

first_schedules as (
    select distinct
        tenant_id,
        transport_id,
        first_scheduled_at
    from schedules
),

cancellations as (
    select
        c.*,
        s.first_scheduled_at is null or s.first_scheduled_at > c.cancelled_at as is_unscheduled
    from {{ ref("stg_transport__transport_cancelled") }} as c
    left join first_schedules as s on c.tenant_id = s.tenant_id and c.transport_id = s.transport_id
),

statements as (
    -- A departure or a cancellation that no schedule precedes states its plan itself.
    select
        s.tenant_id,
        s.transport_id,
        s.project_id,
        s.warehouse_id,
        s.vehicle_ref,
        s.direction,
        s.planned_departure_at,
        s.occurred_at as stated_at,
        s.received_at,
        s.message_id,
        true as is_scheduled
    from schedules as s
    left join departures as d on s.tenant_id = d.tenant_id and s.transport_id = d.transport_id
    where d.departed_at is null or s.occurred_at <= d.departed_at
    union all
    select
        d.tenant_id,
        d.transport_id,
        d.project_id,
        d.warehouse_id,
        cast(null as {{ text_type() }}) as vehicle_ref,
        cast(null as {{ text_type() }}) as direction,
        d.planned_departure_at,
        d.departed_at as stated_at,
        d.received_at,
        d.message_id,
        false as is_scheduled
    from departures as d
    left join first_schedules as s on d.tenant_id = s.tenant_id and d.transport_id = s.transport_id
    where s.first_scheduled_at is null or s.first_scheduled_at > d.departed_at
    union all
    select
        tenant_id,
        transport_id,
        project_id,
        cast(null as {{ text_type() }}) as warehouse_id,
        cast(null as {{ text_type() }}) as vehicle_ref,
        cast(null as {{ text_type() }}) as direction,
        planned_departure_at,
        cancelled_at as stated_at,
        received_at,
        message_id,
        false as is_scheduled
    from cancellations
    where is_unscheduled
    qualify row_number() over (
        partition by tenant_id, transport_id order by cancelled_at, received_at, message_id
    ) = 1
),

dated as (
    select
        s.*,
        {{ business_date("s.planned_departure_at", "t.time_zone") }} as planned_on,
        {{ business_date("s.stated_at", "t.time_zone") }} as stated_on
    from statements as s
    inner join tenants as t on s.tenant_id = t.tenant_id
),

stated as (
    select
        *,
        row_number() over (
            partition by tenant_id, transport_id order by stated_at, received_at, message_id
        ) as plan_no
    from dated
    where stated_on <= {{ add_days("planned_on", 2) }}
),

followed as (
    select
        *,
        lead(stated_on) over (partition by tenant_id, transport_id order by plan_no) as next_stated_on
    from stated
),

plans as (
    -- A plan that was stated after its day is judged from the day of its statement.
    select * from followed
    where next_stated_on is null or next_stated_on > greatest(planned_on, stated_on)
    qualify row_number() over (partition by tenant_id, transport_id, planned_on order by plan_no desc) = 1
),

departed_plans as (
    -- A departure fulfils the plan in force when the vehicle left, which is the last one: nothing is planned later.
    select
        p.tenant_id,
        p.transport_id,
        p.plan_no,
        d.departed_at,
        d.loaded_items,
        d.expected_items,
        d.delay_reason
    from plans as p
    inner join departures as d
        on p.tenant_id = d.tenant_id and p.transport_id = d.transport_id
    qualify row_number() over (partition by p.tenant_id, p.transport_id order by p.plan_no desc) = 1
),

ended_plans as (
    -- A cancellation ends the plan in force at that moment; a later schedule revives the transport, unless it only
    -- repeats the plan that was cancelled before it.
    select
        c.tenant_id,
        c.transport_id,
        c.cancelled_at,
        c.is_unscheduled,
        c.planned_departure_at,
        coalesce(max(case when s.stated_at <= c.cancelled_at then s.plan_no end), 1) as plan_no
    from cancellations as c
    inner join stated as s on c.tenant_id = s.tenant_id and c.transport_id = s.transport_id
    group by c.tenant_id, c.transport_id, c.cancelled_at, c.is_unscheduled, c.planned_departure_at, c.message_id
),

cancelled_plans as (
    select
        p.tenant_id,
        p.transport_id,
        p.plan_no,
        min(e.cancelled_at) as cancelled_at
    from plans as p
    inner join ended_plans as e
        on
            p.tenant_id = e.tenant_id and p.transport_id = e.transport_id
            and (p.plan_no = e.plan_no or (e.is_unscheduled and p.planned_departure_at = e.planned_departure_at))
    group by p.tenant_id, p.transport_id, p.plan_no
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
        {{ microseconds_between("p.planned_departure_at", "d.departed_at") }} as delay_us,
        case
            when d.departed_at <= {{ add_hours("p.planned_departure_at", 24) }} then 'departed'
            when c.cancelled_at <= {{ add_hours("p.planned_departure_at", 24) }} then 'cancelled'
            else 'never_departed'
        end as outcome
    from plans as p
    inner join tenants as t on p.tenant_id = t.tenant_id
    left join departed_plans as d
        on p.tenant_id = d.tenant_id and p.transport_id = d.transport_id and p.plan_no = d.plan_no
    left join cancelled_plans as c
        on p.tenant_id = c.tenant_id and p.transport_id = c.transport_id and p.plan_no = c.plan_no
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
    case when is_scheduled then stated_at end as scheduled_at,
    planned_departure_at,
    departed_at,
    cancelled_at,
    outcome,
    {{ minutes("delay_us") }} as delay_minutes,
    outcome = 'departed' and delay_us < on_time_threshold_minutes * cast(60000000 as bigint) as is_on_time,
    delay_reason,
    loaded_items,
    expected_items,
    planned_arrival_at,
    arrived_at
from outcomes
