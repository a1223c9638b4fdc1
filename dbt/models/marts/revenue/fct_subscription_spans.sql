with facts as (
    select
        tenant_id,
        subscription_id,
        customer_ref,
        project_id,
        plan,
        interval as billing_interval,
        currency,
        mrr_minor,
        true as is_running,
        1 as fact_order,
        occurred_on,
        occurred_at,
        event_at,
        message_id
    from {{ ref("stg_billing__subscription_started") }}

    union all

    select
        tenant_id,
        subscription_id,
        customer_ref,
        project_id,
        to_plan as plan,
        cast(null as {{ text_type() }}) as billing_interval,
        currency,
        mrr_after_minor as mrr_minor,
        true as is_running,
        2 as fact_order,
        occurred_on,
        occurred_at,
        event_at,
        message_id
    from {{ ref("stg_billing__subscription_changed") }}

    union all

    select
        tenant_id,
        subscription_id,
        customer_ref,
        project_id,
        cast(null as {{ text_type() }}) as plan,
        cast(null as {{ text_type() }}) as billing_interval,
        currency,
        0 as mrr_minor,
        false as is_running,
        3 as fact_order,
        occurred_on,
        occurred_at,
        event_at,
        message_id
    from {{ ref("stg_billing__subscription_cancelled") }}
),

{# What a later fact does not say again (plan, billing interval, project) stays as it was. #}
states as (
    select
        tenant_id,
        subscription_id,
        customer_ref,
        currency,
        mrr_minor,
        is_running,
        occurred_on,
        last_value(project_id ignore nulls) over (
            partition by tenant_id, subscription_id
            order by occurred_at, event_at, fact_order, message_id
            rows between unbounded preceding and current row
        ) as project_id,
        last_value(plan ignore nulls) over (
            partition by tenant_id, subscription_id
            order by occurred_at, event_at, fact_order, message_id
            rows between unbounded preceding and current row
        ) as plan,
        last_value(billing_interval ignore nulls) over (
            partition by tenant_id, subscription_id
            order by occurred_at, event_at, fact_order, message_id
            rows between unbounded preceding and current row
        ) as billing_interval,
        row_number() over (
            partition by tenant_id, subscription_id, occurred_on
            order by occurred_at desc, event_at desc, fact_order desc, message_id desc
        ) as newest_of_day
    from facts
)

select
    tenant_id,
    subscription_id,
    customer_ref,
    project_id,
    plan,
    billing_interval,
    currency,
    case
        when not is_running then 'cancelled'
        when mrr_minor = 0 then 'trial'
        else 'active'
    end as status,
    mrr_minor,
    occurred_on as valid_from_on,
    lead(occurred_on) over (partition by tenant_id, subscription_id order by occurred_on) as valid_to_on
from states
where newest_of_day = 1
