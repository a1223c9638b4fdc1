{% set movements = ["new", "reactivation", "expansion", "contraction", "churn"] %}

with changes as (
    select
        *,
        case
            when mrr_before_minor = 0 then 1
            when mrr_after_minor = 0 then -1
            else 0
        end as customers_change
    from {{ ref("fct_customer_mrr_changes") }}
    where changed_on <= {{ end_day() }}
),

{# Each tenant, currency and project from its first paid day on, with its level at the start of the build. #}
series as (
    select
        tenant_id,
        currency,
        project_id,
        min(changed_on) as first_paid_on,
        sum(case when changed_on < {{ start_day() }} then mrr_change_minor else 0 end) as opening_minor,
        sum(case when changed_on < {{ start_day() }} then customers_change else 0 end) as opening_customers
    from changes
    group by tenant_id, currency, project_id
),

daily as (
    select
        changed_on as day,
        tenant_id,
        currency,
        project_id,
        sum(mrr_change_minor) as change_minor,
        {%- for movement in movements %}
        sum(case when movement = '{{ movement }}' then mrr_change_minor else 0 end) as {{ movement }}_minor,
        {%- endfor %}
        sum(customers_change) as customers_change
    from changes
    where changed_on >= {{ start_day() }}
    group by changed_on, tenant_id, currency, project_id
),

levels as (
    select
        days.day,
        series.tenant_id,
        series.currency,
        series.project_id,
        coalesce(daily.change_minor, 0) as change_minor,
        {%- for movement in movements %}
        coalesce(daily.{{ movement }}_minor, 0) as {{ movement }}_minor,
        {%- endfor %}
        series.opening_minor + sum(coalesce(daily.change_minor, 0)) over (
            partition by series.tenant_id, series.currency, series.project_id
            order by days.day
        ) as mrr_minor,
        series.opening_customers + sum(coalesce(daily.customers_change, 0)) over (
            partition by series.tenant_id, series.currency, series.project_id
            order by days.day
        ) as active_customers
    from series
    inner join {{ day_spine() }} as days
        on series.first_paid_on <= days.day
    left join daily
        on
            days.day = daily.day
            and series.tenant_id = daily.tenant_id
            and series.currency = daily.currency
            and series.project_id is not distinct from daily.project_id
),

{# A month without a rate before it (the first of the table) has no exchange-rate movement. #}
rated as (
    select
        levels.*,
        levels.mrr_minor - levels.change_minor as opening_mrr_minor,
        today.rate_to_reporting as rate,
        coalesce(yesterday.rate_to_reporting, today.rate_to_reporting) as opening_rate
    from levels
    left join {{ ref("fx_rates") }} as today
        on
            {{ month_of("levels.day") }} = today.month
            and levels.currency = today.currency
    left join {{ ref("fx_rates") }} as yesterday
        on
            {{ month_of(add_days("levels.day", -1)) }} = yesterday.month
            and levels.currency = yesterday.currency
),

{# Each movement is the difference of two converted running totals, so that the parts add up to the whole to the cent. #}
reporting as (
    select
        *,
        {%- set ns = namespace(total="opening_mrr_minor") %}
        {%- for movement in movements %}
        {%- set next_total = ns.total ~ " + " ~ movement ~ "_minor" %}
        {{ converted(next_total, "rate") }} - {{ converted(ns.total, "rate") }} as {{ movement }}_reporting_minor,
        {%- set ns.total = next_total %}
        {%- endfor %}
        {{ converted("mrr_minor", "rate") }} as mrr_reporting_minor,
        {{ converted("opening_mrr_minor", "opening_rate") }} as opening_mrr_reporting_minor,
        {{ converted("opening_mrr_minor", "rate") }} - {{ converted("opening_mrr_minor", "opening_rate") }} as fx_minor
    from rated
)

select
    day,
    tenant_id,
    currency,
    project_id,
    cast(mrr_minor as bigint) as mrr_minor,
    mrr_reporting_minor,
    cast(active_customers as bigint) as active_customers,
    {%- for movement in ["new", "expansion", "contraction", "churn", "reactivation"] %}
    cast({{ movement }}_minor as bigint) as {{ movement }}_minor,
    {%- endfor %}
    fx_minor,
    cast(opening_mrr_minor as bigint) as opening_mrr_minor,
    opening_mrr_reporting_minor,
    {%- for movement in movements %}
    {{ movement }}_reporting_minor,
    {%- endfor %}
    {%- for unit in ["minor", "reporting_minor"] %}
    cast(-(churn_{{ unit }} + contraction_{{ unit }}) as bigint) as gross_churn_{{ unit }},
    cast(
        -(churn_{{ unit }} + contraction_{{ unit }} + expansion_{{ unit }} + reactivation_{{ unit }}) as bigint
    ) as net_churn_{{ unit }},
    {%- endfor %}
    cast(12 * mrr_minor as bigint) as arr_minor,
    cast(12 * mrr_reporting_minor as bigint) as arr_reporting_minor
from reporting
