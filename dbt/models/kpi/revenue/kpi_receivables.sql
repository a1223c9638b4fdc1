{% set keys = ["tenant_id", "currency", "project_id", "booking_value_band"] %}
{# Buckets by the days after the due day: name, first and last. #}
{% set buckets = [
    ("not_due", none, 0), ("overdue_1_30", 1, 30), ("overdue_31_60", 31, 60), ("overdue_61_90", 61, 90), ("overdue_over_90", 91, none)
] %}
{% set bucket_measures = [] %}
{% for bucket in buckets %}{% do bucket_measures.append(bucket[0] ~ "_minor") %}{% endfor %}
{% set measures = bucket_measures + [
    "written_off_minor", "open_invoices", "day_sales_minor", "day_collected_minor", "sales_minor", "collected_minor"
] %}
{% set converted_measures = ["receivables_minor"] + bucket_measures + [
    "sales_minor", "cei_numerator_minor", "cei_denominator_minor", "dso_numerator_minor"
] %}

with invoices as (
    select
        *,
        net_minor - collected_minor as open_minor,
        net_minor - lag(net_minor, 1, 0) over (
            partition by tenant_id, invoice_id
            order by valid_from_on
        ) as sold_minor,
        collected_minor - lag(collected_minor, 1, 0) over (
            partition by tenant_id, invoice_id
            order by valid_from_on
        ) as received_minor
    from {{ ref("fct_invoice_spans") }}
    where valid_from_on <= {{ end_day() }}
),

aged as (
    {%- for name, first, last in buckets %}
    select
        *,
        '{{ name }}' as bucket,
        {%- if first is none %}
        valid_from_on as starts_on,
        {%- else %}
        greatest(valid_from_on, {{ add_days("due_on", first) }}) as starts_on,
        {%- endif %}
        {%- if last is none %}
        {{ open_end("valid_to_on") }} as ends_on
        {%- else %}
        least({{ open_end("valid_to_on") }}, {{ add_days("due_on", last + 1) }}) as ends_on
        {%- endif %}
    from invoices
    where open_minor > 0
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}
),

{# What stands open counts while it does; what was sold and received counts on its day, and in the year that begins with it. #}
spans as (
    select
        {{ keys | join(", ") }},
        {%- for name, _first, _last in buckets %}
        case when bucket = '{{ name }}' then open_minor else 0 end as {{ name }}_minor,
        {%- endfor %}
        case when is_written_off then open_minor else 0 end as written_off_minor,
        1 as open_invoices,
        0 as day_sales_minor,
        0 as day_collected_minor,
        0 as sales_minor,
        0 as collected_minor,
        starts_on,
        ends_on
    from aged
    {%- for prefix, ends_on in [("day_", add_days("valid_from_on", 1)), ("", rolled_out_on("valid_from_on"))] %}

    union all

    select
        {{ keys | join(", ") }},
        {%- for measure in measures %}
        {{ {prefix ~ "sales_minor": "sold_minor", prefix ~ "collected_minor": "received_minor"}.get(measure, 0) }} as {{ measure }},
        {%- endfor %}
        valid_from_on as starts_on,
        {{ ends_on }} as ends_on
    from invoices
    where sold_minor <> 0 or received_minor <> 0
    {%- endfor %}
),

levels as (
    select
        *,
        {{ bucket_measures | join(" + ") }} as receivables_minor,
        {{ days_from(add_months("day", -12), "day") }} as period_days
    from {{ daily_levels("spans", keys, measures) }} as daily
),

{# The year's opening receivables are the closing ones without what the year sold and with what it collected. #}
figures as (
    select
        *,
        receivables_minor - sales_minor + collected_minor as opening_receivables_minor,
        collected_minor as cei_numerator_minor,
        receivables_minor + collected_minor - not_due_minor as cei_denominator_minor,
        receivables_minor * period_days as dso_numerator_minor
    from levels
)

select
    figures.day,
    {%- for key in keys %}
    figures.{{ key }},
    {%- endfor %}
    cast(figures.receivables_minor as bigint) as receivables_minor,
    {%- for measure in measures + ["opening_receivables_minor", "cei_numerator_minor", "cei_denominator_minor", "dso_numerator_minor"] %}
    cast(figures.{{ measure }} as bigint) as {{ measure }},
    {%- endfor %}
    {%- for measure in converted_measures %}
    {{ converted("figures." ~ measure, "rates.rate_to_reporting") }} as {{ measure | replace("_minor", "_reporting_minor") }},
    {%- endfor %}
    cast(figures.period_days as integer) as period_days
from figures
left join {{ ref("fx_rates") }} as rates
    on
        {{ month_of("figures.day") }} = rates.month
        and figures.currency = rates.currency
where
    figures.open_invoices > 0
    or figures.sales_minor <> 0
    or figures.collected_minor <> 0
    or figures.day_sales_minor <> 0
    or figures.day_collected_minor <> 0
