{# A span adds its MRR on its first day and takes it away on the day after its last. #}
with steps as (
    select
        tenant_id,
        customer_ref,
        currency,
        project_id,
        valid_from_on as changed_on,
        mrr_minor as step_minor
    from {{ ref("fct_subscription_spans") }}

    union all

    select
        tenant_id,
        customer_ref,
        currency,
        project_id,
        valid_to_on as changed_on,
        -mrr_minor as step_minor
    from {{ ref("fct_subscription_spans") }}
    where valid_to_on is not null
),

changes as (
    select
        tenant_id,
        customer_ref,
        currency,
        project_id,
        changed_on,
        cast(sum(step_minor) as bigint) as mrr_change_minor
    from steps
    group by tenant_id, customer_ref, currency, project_id, changed_on
    having sum(step_minor) <> 0
),

levels as (
    select
        *,
        sum(mrr_change_minor) over (
            partition by tenant_id, customer_ref, currency, project_id
            order by changed_on
        ) as mrr_after_minor,
        {# The default frame takes in all rows of the same day: all projects of the customer. #}
        sum(mrr_change_minor) over (
            partition by tenant_id, customer_ref, currency
            order by changed_on
        ) as customer_mrr_after_minor,
        sum(mrr_change_minor) over (partition by tenant_id, customer_ref, currency, changed_on) as customer_change_minor,
        min(changed_on) over (partition by tenant_id, customer_ref, currency) as first_paid_on
    from changes
)

select
    tenant_id,
    customer_ref,
    currency,
    project_id,
    changed_on,
    first_paid_on,
    case
        when changed_on = first_paid_on then 'new'
        when customer_mrr_after_minor = 0 then 'churn'
        when customer_mrr_after_minor = customer_change_minor then 'reactivation'
        when customer_change_minor >= 0 then 'expansion'
        else 'contraction'
    end as movement,
    mrr_change_minor,
    cast(mrr_after_minor - mrr_change_minor as bigint) as mrr_before_minor,
    cast(mrr_after_minor as bigint) as mrr_after_minor,
    cast(customer_mrr_after_minor - customer_change_minor as bigint) as customer_mrr_before_minor,
    cast(customer_mrr_after_minor as bigint) as customer_mrr_after_minor
from levels
