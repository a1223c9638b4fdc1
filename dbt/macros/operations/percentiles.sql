{# The p-th quantile (0..1) of a group with linear interpolation between neighbours; NULL for no values. #}
{% macro quantile(expression, p) -%}
    {{ return(adapter.dispatch("quantile", "analytics_platform")(expression, p)) }}
{%- endmacro %}

{% macro default__quantile(expression, p) -%}
    quantile_cont({{ expression }}, {{ p }})
{%- endmacro %}

{% macro snowflake__quantile(expression, p) -%}
    percentile_cont({{ p }}) within group (order by {{ expression }})
{%- endmacro %}

{# BigQuery interpolates in window functions only, so the sorted values are indexed. #}
{% macro bigquery__quantile(expression, p) -%}
    (
        select
            sorted[offset(cast(floor({{ p }} * (array_length(sorted) - 1)) as int64))]
            + ({{ p }} * (array_length(sorted) - 1) - floor({{ p }} * (array_length(sorted) - 1)))
            * (
                sorted[offset(cast(ceil({{ p }} * (array_length(sorted) - 1)) as int64))]
                - sorted[offset(cast(floor({{ p }} * (array_length(sorted) - 1)) as int64))]
            )
        from (select array_agg({{ expression }} ignore nulls order by {{ expression }}) as sorted)
    )
{%- endmacro %}
