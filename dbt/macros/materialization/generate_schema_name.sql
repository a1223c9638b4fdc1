{# Schemas are named as declared (`staging`, `marts`, `kpi`): environments differ by database, never by schema prefix. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
