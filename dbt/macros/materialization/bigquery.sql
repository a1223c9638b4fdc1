{#
  What dbt-bigquery's incremental materialization asks of a strategy, for those of this project.

  Each becomes one MERGE whose condition never holds: rows of the target that the strategy names are deleted, all rows of the
  query inserted, in one statement that readers see whole or not at all. A script of DELETE and INSERT would need a session,
  and BigQuery prunes the partitions of such a MERGE by the filter on deletion.
#}
{% macro dbt_bigquery_validate_get_incremental_strategy(config) %}
    {{ return(config.require("incremental_strategy")) }}
{% endmacro %}

{% macro bq_generate_incremental_build_sql(
    strategy, tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns, tmp_relation_exists,
    copy_partitions, incremental_predicates
) %}
    {%- if not tmp_relation_exists -%}
        {{ exceptions.raise_compiler_error("on_schema_change is ignore, so the rows of " ~ target_relation ~ " are in no table yet") }}
    {%- endif -%}
    {%- set strategy_sql = adapter.get_incremental_strategy_macro(context, strategy) -%}
    {{ return(strategy_sql({"target_relation": target_relation, "temp_relation": tmp_relation, "dest_columns": dest_columns})) }}
{% endmacro %}

{# Deletes the rows of the target (alias `built`) for which a condition holds, and inserts those of the query. #}
{% macro bigquery_replacing(arg_dict, condition) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    merge into {{ arg_dict["target_relation"] }} as built
    using {{ arg_dict["temp_relation"] }} as fresh
        on false
    when not matched by source and {{ condition }} then
        delete
    when not matched by target then
        insert ({{ columns }}) values ({{ columns }})
{%- endmacro %}
