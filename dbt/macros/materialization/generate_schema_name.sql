{#
  Schemas are named as declared (`staging`, `marts`, `kpi`): environments differ by database. Only a branch's environment
  shares one, and all its schemas begin with its prefix.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ env_var("ANALYTICS_WAREHOUSE_SCHEMA_PREFIX", "") }}{{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
