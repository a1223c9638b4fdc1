-- Marketing touches of each lead in the 30 days before it converted (within 90 days of its creation), else before it
-- was created. A lead without one has its creation as its only touch, and a conversion without either is unattributed.
-- So each lead has touches, and the weights of each model add up to one.

with leads as (
    select
        *,
        coalesce(created_at, converted_at) as cohort_at,
        case when is_converted_in_window then converted_at else created_at end as attributed_at
    from {{ ref("fct_leads") }}
    where cohort_on is not null
),

pages as (
    select
        tenant_id,
        message_id,
        anonymous_id,
        user_id,
        coalesce(channel, 'other') as channel,
        utm_source,
        utm_campaign,
        occurred_at,
        occurred_on
    from {{ ref("stg_marketing__page") }}
    where coalesce(utm_source, utm_medium, utm_campaign) is not null
),

viewers as (
    -- Under both of its ids; once when they are the same.
    select
        tenant_id,
        message_id,
        anonymous_id as person_id
    from pages
    where anonymous_id is not null
    union all
    select
        tenant_id,
        message_id,
        user_id as person_id
    from pages
    where user_id is not null and user_id <> coalesce(anonymous_id, '')
),

views_of_leads as (
    -- One person may be several leads: a view belongs to the first of them that it can still decide, so that a lead of
    -- later takes nothing from an earlier one.
    select
        p.tenant_id,
        p.message_id as touch_id,
        l.lead_id,
        p.channel,
        p.utm_source as source,
        p.utm_campaign as campaign,
        p.occurred_at as touched_at,
        l.attributed_at,
        row_number() over (
            partition by p.tenant_id, p.message_id order by l.cohort_at, l.lead_id
        ) as preference
    from pages as p
    inner join viewers as w on p.tenant_id = w.tenant_id and p.message_id = w.message_id
    inner join {{ ref("int_lead_identities") }} as i on w.tenant_id = i.tenant_id and w.person_id = i.person_id
    inner join leads as l on i.tenant_id = l.tenant_id and i.lead_id = l.lead_id
    where
        i.known_on <= l.settled_on
        and p.occurred_at >= {{ add_hours("l.cohort_at", -30 * 24) }}
        and p.occurred_on <= l.settled_on
),

page_touches as (
    select * from views_of_leads
    where
        preference = 1
        and touched_at <= attributed_at
        and touched_at >= {{ add_hours("attributed_at", -30 * 24) }}
),

touched_leads as (
    select distinct
        tenant_id,
        lead_id
    from page_touches
),

touches as (
    select
        tenant_id,
        touch_id,
        'page' as touch_kind,
        lead_id,
        channel,
        source,
        campaign,
        touched_at
    from page_touches
    union all
    select
        l.tenant_id,
        coalesce(l.created_message_id, l.converted_message_id) as touch_id,
        case when l.created_on is null then 'unattributed' else 'lead_created' end as touch_kind,
        l.lead_id,
        case when l.created_on is null then 'unattributed' else l.channel end as channel,
        cast(null as {{ text_type() }}) as source,
        l.campaign,
        l.created_at as touched_at
    from leads as l
    left join touched_leads as t
        on l.tenant_id = t.tenant_id and l.lead_id = t.lead_id
    where t.lead_id is null
),

numbered as (
    select
        *,
        row_number() over (partition by tenant_id, lead_id order by touched_at, touch_id) as touch_no,
        count(*) over (partition by tenant_id, lead_id) as touch_count
    from touches
),

shared as (
    -- Shares are exact decimals; what rounding leaves over goes to the last touch.
    select
        *,
        {{ to_decimal("1.0 / touch_count", 18, 9) }} as even_share,
        {{ to_decimal("0.2 / greatest(touch_count - 2, 1)", 18, 9) }} as middle_share
    from numbered
)

select
    s.tenant_id,
    s.touch_id,
    s.touch_kind,
    s.lead_id,
    cast(s.touch_no as integer) as touch_no,
    s.channel,
    s.source,
    s.campaign,
    s.touched_at,
    l.converted_at,
    {{ to_decimal("case when s.touch_no = 1 then 1 else 0 end", 18, 9) }} as first_touch_weight,
    {{ to_decimal("case when s.touch_no = s.touch_count then 1 else 0 end", 18, 9) }} as last_touch_weight,
    {{ to_decimal(
        "case
            when s.touch_no < s.touch_count then s.even_share
            else 1 - (s.touch_count - 1) * s.even_share
        end", 18, 9
    ) }} as linear_weight,
    {{ to_decimal(
        "case
            when s.touch_count = 1 then 1
            when s.touch_count = 2 then 0.5
            when s.touch_no = 1 then 0.4
            when s.touch_no < s.touch_count then s.middle_share
            else 0.6 - (s.touch_count - 2) * s.middle_share
        end", 18, 9
    ) }} as position_weight
from shared as s
inner join leads as l on s.tenant_id = l.tenant_id and s.lead_id = l.lead_id
