{#
  A non-negative amount in minor units of one currency in minor units of another, through the rates of both to the reporting
  currency: exact integers, rounded half up; NULL, never 0, when a rate is unknown. Rates have eight decimals.
#}
{% macro exchanged(amount_minor, from_rate, to_rate) -%}
    {%- set numerator = "2 * " ~ whole_number(amount_minor) ~ " * " ~ _scaled_rate(from_rate) ~ " + " ~ _scaled_rate(to_rate) -%}
    {%- set denominator = "2 * " ~ _scaled_rate(to_rate) -%}
    cast({{ whole_quotient(numerator, denominator) }} as bigint)
{%- endmacro %}

{% macro _scaled_rate(rate) -%}
    {{ return(whole_number(rate ~ " * 100000000")) }}
{%- endmacro %}

{# A number without decimals as an integer wide enough for products of amounts and rates. #}
{% macro whole_number(expression) -%}
    {{ return(adapter.dispatch("whole_number", "analytics_platform")(expression)) }}
{%- endmacro %}

{% macro default__whole_number(expression) -%}
    cast({{ expression }} as hugeint)
{%- endmacro %}

{% macro snowflake__whole_number(expression) -%}
    cast({{ expression }} as decimal(38, 0))
{%- endmacro %}

{# NUMERIC has 29 digits before the point; more than that is an error and never another number. #}
{% macro bigquery__whole_number(expression) -%}
    cast({{ expression }} as numeric)
{%- endmacro %}

{# Integer division of non-negative whole numbers, without a detour through floats. #}
{% macro whole_quotient(numerator, denominator) -%}
    {{ return(adapter.dispatch("whole_quotient", "analytics_platform")(numerator, denominator)) }}
{%- endmacro %}

{% macro default__whole_quotient(numerator, denominator) -%}
    (({{ numerator }}) // ({{ denominator }}))
{%- endmacro %}

{# Snowflake rounds quotients; what is left after the remainder divides without one. #}
{% macro snowflake__whole_quotient(numerator, denominator) -%}
    ((({{ numerator }}) - mod({{ numerator }}, {{ denominator }})) / ({{ denominator }}))
{%- endmacro %}

{% macro bigquery__whole_quotient(numerator, denominator) -%}
    div(({{ numerator }}), ({{ denominator }}))
{%- endmacro %}
