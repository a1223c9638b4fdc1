{# The type of text. #}
{% macro text_type() -%}
    {{ return(adapter.dispatch("text_type", "analytics_platform")()) }}
{%- endmacro %}

{% macro default__text_type() -%}
    varchar
{%- endmacro %}

{% macro bigquery__text_type() -%}
    string
{%- endmacro %}

{# A number as a decimal of so many digits, of which so many stand behind the point. #}
{% macro to_decimal(number, digits, decimals) -%}
    {{ return(adapter.dispatch("to_decimal", "analytics_platform")(number, digits, decimals)) }}
{%- endmacro %}

{% macro default__to_decimal(number, digits, decimals) -%}
    cast({{ number }} as decimal({{ digits }}, {{ decimals }}))
{%- endmacro %}

{# BigQuery's casts take no digits; NUMERIC has 38, nine of them behind the point. #}
{% macro bigquery__to_decimal(number, digits, decimals) -%}
    round(cast({{ number }} as numeric), {{ decimals }})
{%- endmacro %}
