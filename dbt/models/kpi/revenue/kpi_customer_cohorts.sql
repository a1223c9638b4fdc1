{# The customer, not the customer's currency, belongs to a cohort: amounts are brought to one currency at the rates of the cohort month. #}
{{ config(materialized="table", partition_by=none) }}
{% set amounts = ["mrr_minor", "mrr_reporting_minor"] %}

with months as (
    select
        month,
        max(month_ends_on) <= (select max(day) from {{ ref("dim_days") }}) as has_ended
    from {{ ref("dim_days") }}
    group by month
),

customers as (
    select
        changes.tenant_id,
        changes.customer_ref,
        {{ month_of("min(changes.first_paid_on)") }} as cohort_month,
        min(tenants.currency) as tenant_currency
    from {{ ref("fct_customer_mrr_changes") }} as changes
    inner join {{ ref("dim_tenants") }} as tenants
        on changes.tenant_id = tenants.tenant_id
    where changes.changed_on <= (select max(day) from {{ ref("dim_days") }})
    group by changes.tenant_id, changes.customer_ref
),

worth as (
    select
        customers.tenant_id,
        customers.customer_ref,
        monthly.month,
        case
            when monthly.currency = customers.tenant_currency then monthly.mrr_minor
            else {{ exchanged("monthly.mrr_minor", "paid_in.rate_to_reporting", "shown_in.rate_to_reporting") }}
        end as mrr_minor,
        {{ converted("monthly.mrr_minor", "paid_in.rate_to_reporting") }} as mrr_reporting_minor
    from customers
    inner join {{ ref("fct_customer_mrr_monthly") }} as monthly
        on
            customers.tenant_id = monthly.tenant_id
            and customers.customer_ref = monthly.customer_ref
    left join {{ ref("fx_rates") }} as paid_in
        on
            customers.cohort_month = paid_in.month
            and monthly.currency = paid_in.currency
    left join {{ ref("fx_rates") }} as shown_in
        on
            customers.cohort_month = shown_in.month
            and customers.tenant_currency = shown_in.currency
    where monthly.mrr_minor > 0
),

{# An amount without a rate makes the customer's amount unknown rather than smaller. #}
levels as (
    select
        tenant_id,
        customer_ref,
        {%- for amount in amounts %}
        sum({{ amount }}) as {{ amount }},
        count({{ amount }}) = count(*) as has_{{ amount }},
        {%- endfor %}
        month
    from worth
    group by tenant_id, customer_ref, month
),

followed as (
    select
        customers.tenant_id,
        customers.cohort_month,
        months.month,
        months.has_ended,
        {%- for amount in amounts %}
        case when coalesce(opening.has_{{ amount }}, true) then coalesce(opening.{{ amount }}, 0) end as opening_{{ amount }},
        case when coalesce(levels.has_{{ amount }}, true) then coalesce(levels.{{ amount }}, 0) end as net_{{ amount }},
        {%- endfor %}
        levels.customer_ref is not null as is_retained
    from customers
    inner join months
        on customers.cohort_month <= months.month
    left join levels
        on
            customers.tenant_id = levels.tenant_id
            and customers.customer_ref = levels.customer_ref
            and months.month = levels.month
    left join levels as opening
        on
            customers.tenant_id = opening.tenant_id
            and customers.customer_ref = opening.customer_ref
            and customers.cohort_month = opening.month
),

capped as (
    select
        {%- for amount in amounts %}
        opening_{{ amount }},
        net_{{ amount }},
        case
            when net_{{ amount }} > opening_{{ amount }} then opening_{{ amount }}
            when net_{{ amount }} <= opening_{{ amount }} then net_{{ amount }}
        end as retained_{{ amount }},
        {%- endfor %}
        tenant_id,
        cohort_month,
        month,
        has_ended,
        is_retained
    from followed
)

select
    cohort_month,
    tenant_id,
    {{ month_number("month") }} - {{ month_number("cohort_month") }} as month_number,
    {%- for amount in amounts %}
    case when month > cohort_month or has_ended then {{ sum_if_known("opening_" ~ amount) }} end as opening_{{ amount }},
    case when has_ended then {{ sum_if_known("retained_" ~ amount) }} end as retained_{{ amount }},
    case when has_ended then {{ sum_if_known("net_" ~ amount) }} end as net_{{ amount }},
    {%- endfor %}
    count(*) as customers,
    case when has_ended then count(case when is_retained then 1 end) end as retained_customers
from capped
group by cohort_month, tenant_id, month, has_ended
