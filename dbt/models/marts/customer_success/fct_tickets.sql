-- One row for each ticket, by all that is known of it. Reopened and not resolved again, it has no final resolution.

with opened as (
    select
        tenant_id,
        ticket_id,
        project_id,
        priority,
        category,
        source,
        requester_ref,
        opened_at
    from {{ ref("stg_support__ticket_opened") }}
    qualify row_number() over (partition by tenant_id, ticket_id order by opened_at, received_at, message_id) = 1
),

resolutions as (
    select * from {{ ref("fct_ticket_resolutions") }}
),

first_resolutions as (
    -- Told by any event of the ticket: a resolution that was reopened on its own day stands on no day.
    select
        tenant_id,
        ticket_id,
        min(resolved_at) as first_resolved_at,
        min(opened_at) as told_opened_at,
        max(reopen_count) as told_reopen_count
    from {{ ref("stg_support__ticket_resolved") }}
    group by tenant_id, ticket_id
),

reopenings as (
    select
        tenant_id,
        ticket_id,
        count(distinct reopened_at) as reopenings,
        max(reopen_count) as told_reopen_count
    from {{ ref("stg_support__ticket_reopened") }}
    group by tenant_id, ticket_id
),

tickets as (
    select
        coalesce(o.tenant_id, f.tenant_id) as tenant_id,
        coalesce(o.ticket_id, f.ticket_id) as ticket_id,
        o.project_id,
        o.priority,
        o.category,
        o.source,
        o.requester_ref,
        coalesce(o.opened_at, f.told_opened_at) as opened_at,
        f.first_resolved_at,
        f.told_reopen_count
    from opened as o
    full outer join first_resolutions as f on o.tenant_id = f.tenant_id and o.ticket_id = f.ticket_id
),

dated as (
    select
        t.*,
        {{ business_date("t.opened_at", "z.time_zone") }} as opened_on,
        {{ business_date("t.first_resolved_at", "z.time_zone") }} as first_resolved_on
    from tickets as t
    inner join {{ ref("dim_tenants") }} as z on t.tenant_id = z.tenant_id
)

select
    t.tenant_id,
    t.ticket_id,
    coalesce(t.project_id, r.project_id) as project_id,
    t.priority,
    t.category,
    t.source,
    t.requester_ref,
    t.opened_at,
    t.opened_on,
    t.first_resolved_at,
    r.resolved_at as final_resolved_at,
    r.resolved_on as final_resolved_on,
    cast(
        greatest(
            coalesce(t.told_reopen_count, 0), coalesce(p.told_reopen_count, 0), coalesce(p.reopenings, 0)
        ) as bigint
    ) as reopen_count,
    {{ minutes(microseconds_between("t.opened_at", "t.first_resolved_at")) }} as first_resolution_minutes,
    {{ minutes("r.resolution_us") }} as final_resolution_minutes,
    {{ minutes(
        working_us_until("first_day", "t.first_resolved_at") ~ " - " ~ working_us_until("open_day", "t.opened_at")
    ) }} as first_resolution_business_minutes,
    {{ minutes("r.resolution_business_us") }} as final_resolution_business_minutes,
    {{ minutes("r.on_hold_us") }} as on_hold_minutes
from dated as t
left join resolutions as r on t.tenant_id = r.tenant_id and t.ticket_id = r.ticket_id and r.is_final
left join reopenings as p on t.tenant_id = p.tenant_id and t.ticket_id = p.ticket_id
left join {{ ref("int_business_days") }} as open_day
    on t.tenant_id = open_day.tenant_id and t.opened_on = open_day.day
left join {{ ref("int_business_days") }} as first_day
    on t.tenant_id = first_day.tenant_id and t.first_resolved_on = first_day.day
