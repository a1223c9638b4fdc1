-- A tenant's working hours as moments, day by day, with the working time before each day. Opening and closing
-- are local times, so a day on which the clock changes inside them is an hour shorter or longer.

with ticket_days as (
    select occurred_on as day from {{ ref("stg_support__ticket_opened") }}
    union all
    select occurred_on as day from {{ ref("stg_support__ticket_resolved") }}
    union all
    select cast(opened_at as date) as day from {{ ref("stg_support__ticket_resolved") }}
),

bounds as (
    -- A day more on both sides: the last part above dates in UTC.
    select
        {{ add_days("min(day)", -1) }} as first_day,
        {{ add_days("max(day)", 1) }} as last_day
    from ticket_days
),

days as (
    {{ days_between("(select first_day from bounds)", "(select last_day from bounds)") }}
),

holidays as (
    -- A tenant's own closing day may be one of its calendar's too.
    select distinct
        tenant_id,
        holiday_on
    from {{ source("raw", "tenant_holidays") }}
),

schedules as (
    select
        t.tenant_id,
        t.time_zone,
        d.day,
        h.opens_at,
        h.closes_at
    from (select distinct tenant_id from {{ source("raw", "tenant_business_hours") }}) as scheduled
    inner join {{ ref("dim_tenants") }} as t on scheduled.tenant_id = t.tenant_id
    cross join days as d
    left join holidays as holiday
        on t.tenant_id = holiday.tenant_id and d.day = holiday.holiday_on
    left join {{ source("raw", "tenant_business_hours") }} as h
        on
            t.tenant_id = h.tenant_id
            and {{ iso_weekday("d.day") }} = h.weekday
            and holiday.holiday_on is null
),

moments as (
    select
        tenant_id,
        day,
        {{ utc_time(wall_clock("day", "opens_at"), "time_zone") }} as opens_at,
        {{ utc_time(wall_clock("day", "closes_at"), "time_zone") }} as closes_at
    from schedules
),

measured as (
    select
        tenant_id,
        day,
        opens_at,
        closes_at,
        coalesce({{ microseconds_between("opens_at", "closes_at") }}, 0) as open_us
    from moments
)

select
    tenant_id,
    day,
    opens_at,
    closes_at,
    open_us,
    cast(
        coalesce(
            sum(open_us) over (
                partition by tenant_id order by day rows between unbounded preceding and 1 preceding
            ), 0
        ) as bigint
    ) as open_us_before
from measured
