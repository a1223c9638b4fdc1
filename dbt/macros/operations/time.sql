{# Exact spans of time and working hours. Moments are plain UTC timestamps. #}

{# Whole microseconds from one moment to another, negative when the second is earlier. #}
{% macro microseconds_between(first, last) -%}
    {{ return(adapter.dispatch("microseconds_between", "analytics_platform")(first, last)) }}
{%- endmacro %}

{% macro default__microseconds_between(first, last) -%}
    datediff('microsecond', {{ first }}, {{ last }})
{%- endmacro %}

{% macro snowflake__microseconds_between(first, last) -%}
    datediff(microsecond, {{ first }}, {{ last }})
{%- endmacro %}

{% macro bigquery__microseconds_between(first, last) -%}
    datetime_diff({{ last }}, {{ first }}, microsecond)
{%- endmacro %}

{# A moment moved by a signed number of exact hours: a day is 24 of them, whatever the clock does. #}
{% macro add_hours(moment, hours) -%}
    {{ return(adapter.dispatch("add_hours", "analytics_platform")(moment, hours)) }}
{%- endmacro %}

{% macro default__add_hours(moment, hours) -%}
    {{ moment }} + to_hours({{ hours }})
{%- endmacro %}

{% macro snowflake__add_hours(moment, hours) -%}
    dateadd(hour, {{ hours }}, {{ moment }})
{%- endmacro %}

{% macro bigquery__add_hours(moment, hours) -%}
    datetime_add({{ moment }}, interval {{ hours }} hour)
{%- endmacro %}

{# Microseconds as minutes: exact seconds / 60, never the number of minute boundaries crossed. #}
{% macro minutes(microseconds) -%}
    (cast({{ microseconds }} as {{ float_type() }}) / 60000000)
{%- endmacro %}

{# The local timestamp of a wall-clock text ('HH:MM', up to '24:00') on a day. #}
{% macro wall_clock(day, clock) -%}
    {{ return(adapter.dispatch("wall_clock", "analytics_platform")(day, clock)) }}
{%- endmacro %}

{% macro default__wall_clock(day, clock) -%}
    cast({{ day }} as timestamp)
    + to_minutes(
        cast(split_part({{ clock }}, ':', 1) as bigint) * 60 + cast(split_part({{ clock }}, ':', 2) as bigint)
    )
{%- endmacro %}

{% macro snowflake__wall_clock(day, clock) -%}
    dateadd(
        minute,
        cast(split_part({{ clock }}, ':', 1) as integer) * 60 + cast(split_part({{ clock }}, ':', 2) as integer),
        cast({{ day }} as timestamp_ntz)
    )
{%- endmacro %}

{% macro bigquery__wall_clock(day, clock) -%}
    datetime_add(
        datetime_add(cast({{ day }} as datetime), interval cast(split({{ clock }}, ':')[offset(0)] as int64) hour),
        interval cast(split({{ clock }}, ':')[offset(1)] as int64) minute
    )
{%- endmacro %}

{#
  Working microseconds of a tenant from the start of its calendar to a moment. `calendar` is the alias of the row of
  int_business_days for the moment's local day; NULL when the tenant has no calendar.
#}
{% macro working_us_until(calendar, moment) -%}
    (
        {{ calendar }}.open_us_before
        + greatest(
            0,
            least(
                {{ calendar }}.open_us,
                coalesce({{ microseconds_between(calendar ~ ".opens_at", moment) }}, 0)
            )
        )
    )
{%- endmacro %}

{# A 64-bit float. #}
{% macro float_type() -%}
    {{ return("float64" if target.type == "bigquery" else "double") }}
{%- endmacro %}
