{# Calls that say which ids are one person: identify, alias, and the message that created a lead. #}

with calls as (
    select
        day,
        tenant_id,
        project_id,
        message_id,
        type,
        anonymous_id,
        user_id,
        event_at,
        received_at,
        occurred_at,
        properties,
        traits,
        extra
    from {{ source("raw", "marketing") }}
    where (type in ('identify', 'alias') or event = 'lead.created') and {{ built_days() }}

    union all

    select
        day,
        tenant_id,
        project_id,
        message_id,
        type,
        anonymous_id,
        user_id,
        event_at,
        received_at,
        occurred_at,
        properties,
        traits,
        extra
    from {{ source("raw", "product") }}
    where type in ('identify', 'alias') and {{ built_days() }}
)

select
    calls.day,
    calls.tenant_id,
    calls.project_id,
    calls.message_id,
    {{ utc_timestamp("calls.event_at") }} as event_at,
    {{ utc_timestamp("calls.received_at") }} as received_at,
    {{ utc_timestamp("calls.occurred_at") }} as occurred_at,
    {{ business_date(utc_timestamp("calls.occurred_at"), "tenants.time_zone") }} as occurred_on,
    calls.type,
    calls.anonymous_id,
    calls.user_id,
    {{ json_text("calls.extra", "previousId") }} as previous_id,
    coalesce(
        case when calls.type = 'track' then {{ json_text("calls.properties", "lead_id") }} end,
        {{ json_text("calls.traits", "lead_id") }}
    ) as lead_id
from calls
left join {{ source("raw", "tenants") }} as tenants
    on calls.tenant_id = tenants.tenant_id
