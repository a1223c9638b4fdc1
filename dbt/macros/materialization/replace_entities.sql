{#
  Incremental strategy `replace_entities`: the rows of every entity that the query gives are replaced, and rows of entities
  that no longer exist are removed. The query decides which entities it works out again, each whole.
  Config `entity_columns` are the columns that name an entity, `entities` the model that lists those that exist.
#}
{% macro get_incremental_replace_entities_sql(arg_dict) -%}
    {{ return(adapter.dispatch("replace_entities_sql", "analytics_platform")(arg_dict)) }}
{%- endmacro %}

{% macro default__replace_entities_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    {%- set keys = config.require("entity_columns") -%}
    delete from {{ arg_dict["target_relation"] }} as built
    where
        exists (select 1 from {{ arg_dict["temp_relation"] }} as fresh where {{ same_entity("fresh", "built", keys) }})
        or not exists (select 1 from {{ ref(config.require("entities")) }} as live where {{ same_entity("live", "built", keys) }});

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{%- endmacro %}


{% macro same_entity(left_side, right_side, keys) -%}
    {%- for key in keys -%}
        {{ left_side }}.{{ key }} = {{ right_side }}.{{ key }}{{ " and " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
