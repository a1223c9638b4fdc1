{#
  The whole query of a collection rate table with the given columns of `fct_invoice_spans` beside day, tenant, basis and currency.
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
        {{ converted("levels.collected_minor", "rates.rate_to_reporting") }} as collected_reporting_minor,
        {{ converted("levels.net_minor", "rates.rate_to_reporting") }} as net_invoiced_reporting_minor
    from {{ daily_levels("windows", keys, ["collected_minor", "net_minor", "invoices"]) }} as levels
    left join {{ ref("fx_rates") }} as rates
        on
            {{ month_of("levels.day") }} = rates.month
            and levels.currency = rates.currency
    where levels.invoices > 0
{%- endmacro %}
