{# What this table said of its entities before the build, one row each; no row when all are to be worked out (`entities`
   is then read for its columns alone). #}
{% macro entities_built_before(entities, columns) -%}
    {%- if is_incremental() -%}
    select distinct {{ columns | join(", ") }} from {{ this }}
    {%- else -%}
    select {{ columns | join(", ") }} from {{ entities }} where false
    {%- endif -%}
{%- endmacro %}
