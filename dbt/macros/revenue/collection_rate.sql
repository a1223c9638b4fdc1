{#
  The whole query of a collection rate table with the given columns of `fct_invoice_spans` beside day, tenant, basis and currency.
  In the reporting currency the parts are differences of converted running totals, so that they add up to the whole to the cent.
  An invoice counts from its basis day (but not before it is issued) and leaves when the basis day is 12 months old.
#}
{% macro collection_rate(drill_downs=[]) -%}
    {%- set keys = ["tenant_id", "basis", "currency"] + drill_downs -%}
    with windows as (
        {%- for basis in ["due", "issued"] %}
        select
            '{{ basis }}' as basis,
            tenant_id,
            currency,
            {%- for column in drill_downs %}
            {{ column }},
            {%- endfor %}
            net_minor,
            collected_minor,
            case when is_void then 0 else 1 end as invoices,
            greatest(valid_from_on, {{ basis }}_on) as starts_on,
            least({{ open_end("valid_to_on") }}, {{ rolled_out_on(basis ~ "_on") }}) as ends_on
        from {{ ref("fct_invoice_spans") }}
        where valid_from_on <= {{ end_day() }}
        {%- if not loop.last %}
        union all
        {%- endif %}
        {%- endfor %}
    )

    select
        levels.day,
        {%- for key in keys %}
        levels.{{ key }},
        {%- endfor %}
        cast(levels.collected_minor as bigint) as collected_minor,
        cast(levels.net_minor as bigint) as net_invoiced_minor,
        cast(levels.invoices as bigint) as invoices,
        {{ converted_part("levels.collected_minor", drill_downs) }} as collected_reporting_minor,
        {{ converted_part("levels.net_minor", drill_downs) }} as net_invoiced_reporting_minor
    from {{ daily_levels("windows", keys, ["collected_minor", "net_minor", "invoices"]) }} as levels
    left join {{ ref("fx_rates") }} as rates
        on
            {{ month_of("levels.day") }} = rates.month
            and levels.currency = rates.currency
    where levels.invoices > 0
{%- endmacro %}

{# An amount of `levels` in the reporting currency, as its part of the whole that the drill-downs split. #}
{% macro converted_part(amount, drill_downs) -%}
    {%- if not drill_downs -%}
    {{ converted(amount, "rates.rate_to_reporting") }}
    {%- else -%}
    {%- set so_far -%}
        sum({{ amount }}) over (
            partition by levels.day, levels.tenant_id, levels.basis, levels.currency
            order by {% for column in drill_downs %}coalesce(levels.{{ column }}, ''){{ ", " if not loop.last }}{% endfor %}
            rows between unbounded preceding and current row
        )
    {%- endset -%}
    {{ converted(so_far, "rates.rate_to_reporting") }}
        - {{ converted("(" ~ so_far ~ " - " ~ amount ~ ")", "rates.rate_to_reporting") }}
    {%- endif -%}
{%- endmacro %}
