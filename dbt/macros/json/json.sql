{#
  Fields of JSON text. A model that reads several fields parses the text once:
      json_values('properties', ['a', 'b']) as property_values     in a first CTE, then
      json_value('property_values', ['a', 'b'], 'b')               per column
  Every value comes as text, NULL when absent; the `text_to_*` macros type it. Names may be dotted paths.
#}
{% macro json_values(column, names) -%}
    {{ return(adapter.dispatch("json_values", "analytics_platform")(column, names)) }}
{%- endmacro %}

{% macro default__json_values(column, names) -%}
    json_extract_string({{ column }}, ['$.{{ names | join("', '$.") }}'])
{%- endmacro %}

{% macro snowflake__json_values(column, names) -%}
    try_parse_json({{ column }})
{%- endmacro %}

{% macro bigquery__json_values(column, names) -%}
    safe.parse_json({{ column }})
{%- endmacro %}

{% macro json_value(values, names, name) -%}
    {{ return(adapter.dispatch("json_value", "analytics_platform")(values, names, name)) }}
{%- endmacro %}

{% macro default__json_value(values, names, name) -%}
    {{ values }}[{{ names.index(name) + 1 }}]
{%- endmacro %}

{% macro snowflake__json_value(values, names, name) -%}
    {{ values }}:{{ name }}::varchar
{%- endmacro %}

{% macro bigquery__json_value(values, names, name) -%}
    json_value({{ values }}, '$.{{ name }}')
{%- endmacro %}

{# One field of JSON text, as text. #}
{% macro json_text(column, name) -%}
    {{ return(adapter.dispatch("json_text", "analytics_platform")(column, name)) }}
{%- endmacro %}

{% macro default__json_text(column, name) -%}
    json_extract_string({{ column }}, '$.{{ name }}')
{%- endmacro %}

{% macro snowflake__json_text(column, name) -%}
    try_parse_json({{ column }}):{{ name }}::varchar
{%- endmacro %}

{% macro bigquery__json_text(column, name) -%}
    json_value({{ column }}, '$.{{ name }}')
{%- endmacro %}

{#
  Text to a type. Text that is no such value gives NULL rather than stopping every other tenant's rows: the gate has checked the type,
  and `sound_events` fails where a required column is NULL.
#}
{% macro text_to_timestamp(text) -%}
    {{ return(adapter.dispatch("text_to_timestamp", "analytics_platform")(text)) }}
{%- endmacro %}

{# RFC 3339 also allows a lower-case t and z. #}
{% macro default__text_to_timestamp(text) -%}
    timezone('UTC', try_cast(upper({{ text }}) as timestamptz))
{%- endmacro %}

{% macro snowflake__text_to_timestamp(text) -%}
    cast(convert_timezone('UTC', try_cast(upper({{ text }}) as timestamp_tz)) as timestamp_ntz)
{%- endmacro %}

{% macro bigquery__text_to_timestamp(text) -%}
    datetime(safe_cast(upper({{ text }}) as timestamp), 'UTC')
{%- endmacro %}

{# Text such as 1200, and also 1200.0 and 1.2e3, which JSON Schema calls integers. #}
{% macro text_to_integer(text) -%}
    {{ return(adapter.dispatch("text_to_integer", "analytics_platform")(text)) }}
{%- endmacro %}

{% macro default__text_to_integer(text) -%}
    try_cast({{ text }} as bigint)
{%- endmacro %}

{% macro snowflake__text_to_integer(text) -%}
    cast(try_to_decimal({{ text }}, 38, 0) as bigint)
{%- endmacro %}

{% macro bigquery__text_to_integer(text) -%}
    cast(safe_cast({{ text }} as bignumeric) as int64)
{%- endmacro %}

{% macro text_to_number(text) -%}
    {{ return(adapter.dispatch("text_to_number", "analytics_platform")(text)) }}
{%- endmacro %}

{% macro default__text_to_number(text) -%}
    try_cast({{ text }} as double)
{%- endmacro %}

{% macro bigquery__text_to_number(text) -%}
    safe_cast({{ text }} as float64)
{%- endmacro %}

{% macro text_to_boolean(text) -%}
    {{ return(adapter.dispatch("text_to_boolean", "analytics_platform")(text)) }}
{%- endmacro %}

{% macro default__text_to_boolean(text) -%}
    try_cast({{ text }} as boolean)
{%- endmacro %}

{% macro bigquery__text_to_boolean(text) -%}
    safe_cast({{ text }} as bool)
{%- endmacro %}
