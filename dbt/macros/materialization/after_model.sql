{#
  What a table loses when it is made anew in a warehouse with users of its own: row policies, masks and grants. The platform gives the
  statements of each table (`governance.access`), in an order in which nobody reads it unprotected; DuckDB has none.
#}
{% macro after_model() -%}
    {%- if execute and not is_incremental() -%}
        {%- for statement in var("after_models", {}).get(model.schema ~ "." ~ model.alias, []) -%}
            {%- do run_query(statement) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
