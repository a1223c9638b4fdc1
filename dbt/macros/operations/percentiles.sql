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

{# BigQuery interpolates in window functions only, so the two nearest of the sorted values are taken by their places. #}
{% macro bigquery__quantile(expression, p) -%}
    {%- set place = p ~ " * (count(" ~ expression ~ ") - 1)" -%}
    {%- set sorted = "array_agg(" ~ expression ~ " ignore nulls order by " ~ expression ~ ")" -%}
    (
        {{ sorted }}[safe_offset(cast(floor({{ place }}) as int64))]
        + ({{ place }} - floor({{ place }})) * (
            {{ sorted }}[safe_offset(cast(ceil({{ place }}) as int64))]
            - {{ sorted }}[safe_offset(cast(floor({{ place }}) as int64))]
        )
    )
{%- endmacro %}
