{# A change lasts until the next one of the same customer, currency and project. #}
with spans as (
    select
        tenant_id,
        currency,
        project_id,
        customer_ref,
        changed_on as starts_on,
        lead(changed_on) over (
            partition by tenant_id, customer_ref, currency, project_id
            order by changed_on
        ) as ends_on,
        mrr_after_minor as mrr_minor
    from {{ ref("fct_customer_mrr_changes") }}
    where changed_on <= {{ end_day() }}
),

daily as (
    select
        days.day,
        spans.tenant_id,
        spans.currency,
        spans.project_id,
        spans.customer_ref,
        spans.mrr_minor
    from spans
    inner join {{ day_spine() }} as days
        on
            spans.starts_on <= days.day
            and days.day < coalesce(spans.ends_on, date '9999-12-31')
    where spans.mrr_minor <> 0
),

accumulated as (
    select
        daily.*,
        rates.rate_to_reporting as rate,
        sum(daily.mrr_minor) over (
            partition by daily.day, daily.tenant_id, daily.currency, daily.project_id
            order by daily.customer_ref
            rows between unbounded preceding and current row
        ) as mrr_so_far_minor
    from daily
    left join {{ ref("fx_rates") }} as rates
        on
            {{ month_of("daily.day") }} = rates.month
            and daily.currency = rates.currency
)

{# Differences of converted running totals are whole cents that add up to the project's amount in kpi_mrr. #}
select
    day,
    tenant_id,
    currency,
    project_id,
    customer_ref,
    cast(mrr_minor as bigint) as mrr_minor,
    {{ converted("mrr_so_far_minor", "rate") }}
    - {{ converted("(mrr_so_far_minor - mrr_minor)", "rate") }} as mrr_reporting_minor
from accumulated
