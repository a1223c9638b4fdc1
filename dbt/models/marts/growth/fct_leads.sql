-- One row for each lead: its creation, its first qualification, its first conversion and what that was worth.

with created as (
    select * from {{ ref("stg_marketing__lead_created") }}
    qualify row_number() over (partition by tenant_id, lead_id order by created_at, received_at, message_id) = 1
),

qualified as (
    select * from {{ ref("stg_crm__lead_qualified") }}
    qualify row_number() over (partition by tenant_id, lead_id order by qualified_at, received_at, message_id) = 1
),

converted as (
    select * from {{ ref("stg_crm__lead_converted") }}
    qualify row_number() over (partition by tenant_id, lead_id order by converted_at, received_at, message_id) = 1
),

told as (
    select
        tenant_id,
        lead_id
    from created
    union all
    select
        tenant_id,
        lead_id
    from qualified
    union all
    select
        tenant_id,
        lead_id
    from converted
),

known as (
    select distinct
        tenant_id,
        lead_id
    from told
),

leads as (
    select
        k.tenant_id,
        k.lead_id,
        coalesce(c.project_id, q.project_id, v.project_id) as project_id,
        c.message_id as created_message_id,
        c.channel,
        c.campaign,
        c.landing_path,
        c.company_country,
        c.created_at,
        c.occurred_on as created_on,
        q.channel as qualified_channel,
        q.qualified_at,
        q.occurred_on as qualified_on,
        q.score,
        q.est_value_minor,
        coalesce(q.currency, t.currency) as est_value_currency,
        v.message_id as converted_message_id,
        v.converted_at,
        v.occurred_on as converted_on,
        v.converted_to,
        v.subscription_id,
        v.booking_id,
        v.booking_value_minor,
        v.booking_currency,
        t.currency as tenant_currency,
        -- A lead whose creation never came has the day of its conversion as its cohort.
        coalesce(c.occurred_on, v.occurred_on) as cohort_on,
        {{ add_days("coalesce(c.occurred_on, v.occurred_on)", 90) }} as settled_on
    from known as k
    inner join {{ ref("dim_tenants") }} as t on k.tenant_id = t.tenant_id
    left join created as c on k.tenant_id = c.tenant_id and k.lead_id = c.lead_id
    left join qualified as q on k.tenant_id = q.tenant_id and k.lead_id = q.lead_id
    left join converted as v on k.tenant_id = v.tenant_id and k.lead_id = v.lead_id
),

deals as (
    -- What a conversion may have led to; a subscription is worth its first month.
    select
        tenant_id,
        'booking' as kind,
        booking_id as deal_id,
        booking_value_minor as value_minor,
        booking_currency as currency,
        occurred_on
    from {{ ref("stg_inventory__booking_confirmed") }}
    qualify row_number() over (partition by tenant_id, booking_id order by occurred_at, received_at, message_id) = 1
    union all
    select
        tenant_id,
        'subscription' as kind,
        subscription_id as deal_id,
        mrr_minor as value_minor,
        currency,
        occurred_on
    from {{ ref("stg_billing__subscription_started") }}
    qualify row_number() over (partition by tenant_id, subscription_id order by occurred_at, received_at, message_id) = 1
),

valued as (
    select
        l.*,
        coalesce(l.booking_value_minor, b.value_minor, s.value_minor) as converted_value_minor,
        case
            when l.booking_value_minor is not null then coalesce(l.booking_currency, l.tenant_currency)
            else coalesce(b.currency, s.currency)
        end as converted_value_currency
    from leads as l
    left join deals as b
        on
            l.tenant_id = b.tenant_id and l.booking_id = b.deal_id
            and b.kind = 'booking' and l.settled_on >= b.occurred_on
    left join deals as s
        on
            l.tenant_id = s.tenant_id and l.subscription_id = s.deal_id
            and s.kind = 'subscription' and l.settled_on >= s.occurred_on
)

select
    v.tenant_id,
    v.lead_id,
    v.project_id,
    v.channel,
    v.campaign,
    v.landing_path,
    v.company_country,
    v.created_message_id,
    v.created_at,
    v.created_on,
    v.qualified_channel,
    v.qualified_at,
    v.qualified_on,
    v.score,
    v.est_value_minor,
    case when v.est_value_minor is not null then v.est_value_currency end as est_value_currency,
    {{ converted("v.est_value_minor", "est_rate.rate_to_reporting") }} as est_value_reporting_minor,
    v.converted_message_id,
    v.converted_at,
    v.converted_on,
    v.converted_to,
    v.subscription_id,
    v.booking_id,
    v.cohort_on,
    v.settled_on,
    coalesce(v.converted_on <= v.settled_on, false) as is_converted_in_window,
    v.converted_value_minor,
    v.converted_value_currency,
    {{ converted("v.converted_value_minor", "deal_rate.rate_to_reporting") }} as converted_value_reporting_minor
from valued as v
left join {{ ref("fx_rates") }} as est_rate
    on v.est_value_currency = est_rate.currency and {{ month_of("v.qualified_on") }} = est_rate.month
left join {{ ref("fx_rates") }} as deal_rate
    on v.converted_value_currency = deal_rate.currency and {{ month_of("v.converted_on") }} = deal_rate.month
