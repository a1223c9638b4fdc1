{# Figures reach as far as the warehouse has been built, never as far as the clock or a cancellation that lies ahead. #}
with built as (
    select max(day) as last_day
    from {{ ref("dim_days") }}
),

changes as (
    select
        tenant_id,
        customer_ref,
        currency,
        first_paid_on,
        {{ month_of("changed_on") }} as month,
        sum(mrr_change_minor) as change_minor
    from {{ ref("fct_customer_mrr_changes") }}
    where changed_on <= (select last_day from built)
    group by tenant_id, customer_ref, currency, first_paid_on, {{ month_of("changed_on") }}
),

months as (
    select day as month
    from {{ days_between("(select min(month) from changes)", "(select last_day from built)") }} as days
    where day = {{ month_of("day") }}
),

customers as (
    select distinct
        tenant_id,
        customer_ref,
        currency,
        first_paid_on
    from changes
),

month_ends as (
    select
        months.month,
        customers.tenant_id,
        customers.customer_ref,
        customers.currency,
        customers.first_paid_on,
        coalesce(changes.change_minor, 0) as change_minor,
        sum(coalesce(changes.change_minor, 0)) over (
            partition by customers.tenant_id, customers.customer_ref, customers.currency
            order by months.month
        ) as mrr_minor
    from customers
    inner join months
        on {{ month_of("customers.first_paid_on") }} <= months.month
    left join changes
        on
            customers.tenant_id = changes.tenant_id
            and customers.customer_ref = changes.customer_ref
            and customers.currency = changes.currency
            and months.month = changes.month
),

paid_months as (
    select
        *,
        min(case when mrr_minor > 0 then month end) over (partition by tenant_id, customer_ref, currency) as first_month,
        max(case when mrr_minor > 0 then month end) over (partition by tenant_id, customer_ref, currency) as last_month
    from month_ends
)

select
    paid_months.month,
    paid_months.tenant_id,
    paid_months.customer_ref,
    paid_months.currency,
    cast(paid_months.mrr_minor as bigint) as mrr_minor,
    cast(paid_months.change_minor as bigint) as mrr_change_minor,
    case
        when paid_months.change_minor = 0 then 'none'
        when paid_months.mrr_minor = 0 then 'churn'
        when paid_months.mrr_minor > paid_months.change_minor and paid_months.change_minor > 0 then 'expansion'
        when paid_months.mrr_minor > paid_months.change_minor then 'contraction'
        when paid_months.first_paid_on >= paid_months.month then 'new'
        else 'reactivation'
    end as movement,
    paid_months.first_paid_on,
    {{ add_days(add_months("paid_months.month", 1), -1) }} <= built.last_day as is_month_complete
from paid_months
cross join built
where
    paid_months.month >= paid_months.first_month
    and paid_months.month <= {{ add_months("paid_months.last_month", 1) }}
