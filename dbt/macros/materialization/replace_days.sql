{#
  Incremental strategy `replace_days`: the rows of start_day..end_day are deleted, then the query's rows are inserted.
  The query must limit itself to the same days (see `built_days`), also in its first build. Unlike a merge it removes rows that
  the facts no longer support, and unlike delete+insert by key it needs no key.
  Config `day_column` names the column of the target that carries the day (default `day`).
#}
{% macro get_incremental_replace_days_sql(arg_dict) -%}
    {{ return(adapter.dispatch("replace_days_sql", "analytics_platform")(arg_dict)) }}
{%- endmacro %}

{% macro default__replace_days_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    delete from {{ arg_dict["target_relation"] }}
    where {{ built_days(config.get("day_column", "day")) }};

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{%- endmacro %}
