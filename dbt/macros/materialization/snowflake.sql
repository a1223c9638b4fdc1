{#
  The incremental strategies on Snowflake: each statement would commit by itself, so deleting and inserting are made one transaction.
  dbt creates its temporary table before, since CREATE commits what is open.
#}
{% macro snowflake__replace_days_sql(arg_dict) -%}
    {{ return(snowflake_dml_explicit_transaction(analytics_platform.default__replace_days_sql(arg_dict))) }}
{%- endmacro %}

{% macro snowflake__replace_entities_sql(arg_dict) -%}
    {{ return(snowflake_dml_explicit_transaction(analytics_platform.default__replace_entities_sql(arg_dict))) }}
{%- endmacro %}

{% macro snowflake__replace_settling_days_sql(arg_dict) -%}
    {{ return(snowflake_dml_explicit_transaction(analytics_platform.default__replace_settling_days_sql(arg_dict))) }}
{%- endmacro %}
