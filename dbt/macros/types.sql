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
