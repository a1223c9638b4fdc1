{# An invoice counts from its basis day (but not before it is issued) and leaves when the basis day is 12 months old. #}
with windows as (
    {%- for basis in ["due", "issued"] %}
    select
        '{{ basis }}' as basis,
        tenant_id,
        currency,
        net_minor,
        collected_minor,
        case when is_void then 0 else 1 end as invoices,
        greatest(valid_from_on, {{ basis }}_on) as starts_on,
        least(coalesce(valid_to_on, date '9999-12-31'), {{ rolled_out_on(basis ~ "_on") }}) as ends_on
    from {{ ref("fct_invoice_spans") }}
    where valid_from_on <= {{ end_day() }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

steps as (
    select
        basis,
        tenant_id,
        currency,
        starts_on as day,
        net_minor,
        collected_minor,
        invoices
    from windows
    where starts_on < ends_on

    union all

    select
        basis,
        tenant_id,
        currency,
        ends_on as day,
        -net_minor as net_minor,
        -collected_minor as collected_minor,
        -invoices as invoices
    from windows
    where starts_on < ends_on
),

{# All steps before the build fall on its first day: what counts there is their sum. #}
daily as (
    select
        greatest(day, {{ start_day() }}) as day,
        basis,
        tenant_id,
        currency,
        sum(net_minor) as net_minor,
        sum(collected_minor) as collected_minor,
        sum(invoices) as invoices
    from steps
    where day <= {{ end_day() }}
    group by greatest(day, {{ start_day() }}), basis, tenant_id, currency
),

series as (
    select distinct
        basis,
        tenant_id,
        currency
    from daily
),

levels as (
    select
        days.day,
        series.tenant_id,
        series.basis,
        series.currency,
        sum(coalesce(daily.collected_minor, 0)) over in_order as collected_minor,
        sum(coalesce(daily.net_minor, 0)) over in_order as net_invoiced_minor,
        sum(coalesce(daily.invoices, 0)) over in_order as invoices
    from series
    cross join {{ day_spine() }} as days
    left join daily
        on
            days.day = daily.day
            and series.basis = daily.basis
            and series.tenant_id = daily.tenant_id
            and series.currency = daily.currency
    window in_order as (
        partition by series.basis, series.tenant_id, series.currency
        order by days.day
    )
)

select
    levels.day,
    levels.tenant_id,
    levels.basis,
    levels.currency,
    cast(levels.collected_minor as bigint) as collected_minor,
    cast(levels.net_invoiced_minor as bigint) as net_invoiced_minor,
    cast(levels.invoices as bigint) as invoices,
    {{ converted("levels.collected_minor", "rates.rate_to_reporting") }} as collected_reporting_minor,
    {{ converted("levels.net_invoiced_minor", "rates.rate_to_reporting") }} as net_invoiced_reporting_minor
from levels
left join {{ ref("fx_rates") }} as rates
    on
        {{ month_of("levels.day") }} = rates.month
        and levels.currency = rates.currency
where levels.invoices > 0
