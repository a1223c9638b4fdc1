{#
  Contracts name types as DuckDB does; here stand BigQuery's. A plain timestamp is a DATETIME there, and in its TIMESTAMP is what
  carries a zone. Decimals are declared without their digits, which a cast may not have.
#}
{% macro bigquery_type(data_type) -%}
    {%- set types = {
        "bigint": "int64", "boolean": "bool", "date": "date", "double": "float64", "integer": "int64", "timestamp": "datetime",
        "timestamptz": "timestamp", "varchar": "string"
    } -%}
    {%- if data_type.startswith("decimal") -%}
        {{ return("numeric") }}
    {%- elif data_type == "INT64" -%}
        {# dbt-bigquery has translated integer already. #}
        {{ return("int64") }}
    {%- elif data_type not in types -%}
        {{ exceptions.raise_compiler_error("no type of BigQuery is known for " ~ data_type ~ "; add it to bigquery_type") }}
    {%- endif -%}
    {{ return(types[data_type]) }}
{%- endmacro %}

{# The columns of a contract with their types of BigQuery. #}
{% macro bigquery_columns(columns) -%}
    {%- set typed = {} -%}
    {%- for name, column in columns.items() -%}
        {%- do typed.update({name: dict(column, data_type=bigquery_type(column["data_type"]))}) -%}
    {%- endfor -%}
    {{ return(typed) }}
{%- endmacro %}

{# What dbt asks the types of a contract of: a query without a row. #}
{% macro bigquery__get_empty_schema_sql(columns) -%}
    {{ return(dbt.bigquery__get_empty_schema_sql(bigquery_columns(columns))) }}
{%- endmacro %}

{# The columns of a table that is made. #}
{% macro bigquery__get_table_columns_and_constraints() -%}
    {%- set columns = adapter.render_raw_columns_constraints(raw_columns=bigquery_columns(model["columns"])) -%}
    ({{ columns | join(", ") }})
{%- endmacro %}
