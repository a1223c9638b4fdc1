-- Resolutions that still stood when their day closed, at most one for each ticket and day (the last of the day).
-- A ticket that is reopened days later keeps this row and gets another when it is resolved again: what a day
-- reports does not change afterwards.

with opened as (
    select
        tenant_id,
        ticket_id,
        project_id,
        priority,
        category,
        opened_at,
        occurred_on as opened_on
    from {{ ref("stg_support__ticket_opened") }}
    qualify row_number() over (partition by tenant_id, ticket_id order by opened_at, received_at, message_id) = 1
),

lifecycle as (
    select
        tenant_id,
        ticket_id,
        message_id,
        project_id,
        resolved_at as happened_at,
        occurred_on as happened_on,
        reopen_count,
        1 as order_in_count,
        true as is_resolution,
        opened_at,
        on_hold_ms
    from {{ ref("stg_support__ticket_resolved") }}
    union all
    -- DATETIME is a moment without a zone in every product; TIMESTAMP is not.
    select
        tenant_id,
        ticket_id,
        message_id,
        project_id,
        reopened_at as happened_at,
        occurred_on as happened_on,
        reopen_count,
        0 as order_in_count,
        false as is_resolution,
        cast(null as datetime) as opened_at,
        cast(null as {{ float_type() }}) as on_hold_ms
    from {{ ref("stg_support__ticket_reopened") }}
),

ordered as (
    -- At the same moment the count decides: reopened for the n-th time comes before resolved with n reopenings.
    select
        *,
        row_number() over (
            partition by tenant_id, ticket_id order by happened_at, reopen_count, order_in_count, message_id
        ) as event_no
    from lifecycle
),

told as (
    select
        *,
        row_number() over (
            partition by tenant_id, ticket_id, happened_on order by event_no desc
        ) as from_last_of_day,
        row_number() over (partition by tenant_id, ticket_id order by event_no desc) as from_last,
        min(case when is_resolution then happened_at end) over (
            partition by tenant_id, ticket_id
        ) as first_resolved_at,
        min(opened_at) over (
            partition by tenant_id, ticket_id order by event_no rows between unbounded preceding and current row
        ) as told_opened_at
    from ordered
),

standing as (
    select
        s.tenant_id,
        s.ticket_id,
        t.time_zone,
        coalesce(o.project_id, s.project_id) as project_id,
        o.priority,
        o.category,
        coalesce(o.opened_at, s.told_opened_at) as opened_at,
        s.first_resolved_at,
        s.happened_at as resolved_at,
        s.happened_on as resolved_on,
        s.from_last = 1 as is_final,
        s.reopen_count,
        s.on_hold_ms
    from told as s
    inner join {{ ref("dim_tenants") }} as t on s.tenant_id = t.tenant_id
    left join opened as o
        -- An opening of a later day is not known on this one.
        on s.tenant_id = o.tenant_id and s.ticket_id = o.ticket_id and s.happened_on >= o.opened_on
    where s.from_last_of_day = 1 and s.is_resolution
),

dated as (
    select
        *,
        {{ business_date("opened_at", "time_zone") }} as opened_on,
        {{ business_date("first_resolved_at", "time_zone") }} as first_resolved_on
    from standing
),

measured as (
    select
        d.*,
        {{ microseconds_between("d.opened_at", "d.resolved_at") }} as resolution_us,
        {{ microseconds_between("d.opened_at", "d.first_resolved_at") }} as first_resolution_us,
        {{ working_us_until("final_day", "d.resolved_at") }}
        - {{ working_us_until("open_day", "d.opened_at") }} as resolution_business_us,
        {{ working_us_until("first_day", "d.first_resolved_at") }}
        - {{ working_us_until("open_day", "d.opened_at") }} as first_resolution_business_us
    from dated as d
    left join {{ ref("int_business_days") }} as open_day
        on d.tenant_id = open_day.tenant_id and d.opened_on = open_day.day
    left join {{ ref("int_business_days") }} as first_day
        on d.tenant_id = first_day.tenant_id and d.first_resolved_on = first_day.day
    left join {{ ref("int_business_days") }} as final_day
        on d.tenant_id = final_day.tenant_id and d.resolved_on = final_day.day
),

whole as (
    select
        *,
        -- Thirty years at most: more is no waiting time but a broken clock.
        cast(round(least(coalesce(on_hold_ms, 0), 1000000000000) * 1000) as bigint) as on_hold_us
    from measured
)

select
    tenant_id,
    ticket_id,
    resolved_on,
    project_id,
    priority,
    category,
    opened_at,
    first_resolved_at,
    first_resolved_on,
    resolved_at,
    is_final,
    cast(reopen_count as bigint) as reopen_count,
    resolution_us,
    first_resolution_us,
    cast(resolution_business_us as bigint) as resolution_business_us,
    cast(first_resolution_business_us as bigint) as first_resolution_business_us,
    on_hold_us,
    greatest(resolution_us - on_hold_us, 0) as resolution_without_hold_us,
    {{ minutes("first_resolution_us") }} as first_resolution_minutes,
    {{ minutes("resolution_us") }} as final_resolution_minutes,
    {{ minutes("first_resolution_business_us") }} as first_resolution_business_minutes,
    {{ minutes("resolution_business_us") }} as final_resolution_business_minutes,
    {{ minutes("on_hold_us") }} as on_hold_minutes
from whole
