with seen as (
    {%- for event in [
        "stg_billing__invoice_issued", "stg_billing__subscription_changed", "stg_billing__subscription_cancelled"
    ] %}
    select
        tenant_id,
        customer_ref,
        occurred_on,
        occurred_at,
        message_id,
        cast(null as {{ text_type() }}) as lead_id,
        cast(null as {{ text_type() }}) as acquisition_channel
    from {{ ref(event) }}
    union all
    {%- endfor %}
    {%- for event in ["stg_billing__subscription_started", "stg_inventory__booking_confirmed"] %}
    select
        tenant_id,
        customer_ref,
        occurred_on,
        occurred_at,
        message_id,
        lead_id,
        acquisition_channel
    from {{ ref(event) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

in_order as (
    select
        *,
        first_value(lead_id ignore nulls) over (
            partition by tenant_id, customer_ref
            order by occurred_at, message_id
            rows between unbounded preceding and unbounded following
        ) as first_lead_id,
        first_value(acquisition_channel ignore nulls) over (
            partition by tenant_id, customer_ref
            order by occurred_at, message_id
            rows between unbounded preceding and unbounded following
        ) as first_acquisition_channel
    from seen
)

select
    tenant_id,
    customer_ref,
    min(occurred_on) as first_seen_on,
    max(occurred_on) as last_seen_on,
    min(first_lead_id) as lead_id,
    min(first_acquisition_channel) as acquisition_channel
from in_order
group by tenant_id, customer_ref
