{# First day that this build replaces, as a date literal. #}
{% macro start_day() -%}
    {{ day_literal(var("start_day"), "start_day") }}
{%- endmacro %}

{# Last day that this build replaces (included), as a date literal. #}
{% macro end_day() -%}
    {{ day_literal(var("end_day"), "end_day") }}
{%- endmacro %}

{# A date literal from the ISO text of a variable; a build without the variable stops here. #}
{% macro day_literal(value, name) -%}
    {%- if not value and execute and flags.WHICH in ["build", "run", "test"] -%}
        {{ exceptions.raise_compiler_error("set --vars '{start_day: YYYY-MM-DD, end_day: YYYY-MM-DD}': " ~ name ~ " is missing") }}
    {%- endif -%}
    date '{{ value or "2022-01-01" }}'
{%- endmacro %}

{# Condition that holds for the days that this build replaces. #}
{% macro built_days(column="day") -%}
    {{ column }} between {{ start_day() }} and {{ end_day() }}
{%- endmacro %}

{# A subquery with one row per day of the build, column `day`. #}
{% macro day_spine() -%}
    (select day from {{ days_between(start_day(), end_day()) }})
{%- endmacro %}

{# A subquery with one row per day from `first` to `last` (both included), column `day`. #}
{% macro days_between(first, last) -%}
    {{ return(adapter.dispatch("days_between", "analytics_platform")(first, last)) }}
{%- endmacro %}

{% macro default__days_between(first, last) -%}
    (select cast(unnest(generate_series({{ first }}, {{ last }}, interval 1 day)) as date) as day)
{%- endmacro %}

{# Snowflake takes columns as arguments of a table function, and no subqueries, which either end may be. #}
{% macro snowflake__days_between(first, last) -%}
    (
        select cast(dateadd(day, cast(steps.value as integer), ends.first_day) as date) as day
        from (select {{ first }} as first_day, {{ last }} as last_day) as ends,
            lateral flatten(input => array_generate_range(0, datediff(day, ends.first_day, ends.last_day) + 1)) as steps
    )
{%- endmacro %}

{% macro bigquery__days_between(first, last) -%}
    (select day from unnest(generate_date_array({{ first }}, {{ last }})) as day)
{%- endmacro %}

{# The calendar date of a UTC timestamp in a time zone (an IANA name, literal or column). #}
{% macro business_date(ts, tz) -%}
    {{ return(adapter.dispatch("business_date", "analytics_platform")(ts, tz)) }}
{%- endmacro %}

{% macro default__business_date(ts, tz) -%}
    cast(timezone({{ tz }}, timezone('UTC', {{ ts }})) as date)
{%- endmacro %}

{% macro snowflake__business_date(ts, tz) -%}
    cast(convert_timezone('UTC', {{ tz }}, {{ ts }}) as date)
{%- endmacro %}

{% macro bigquery__business_date(ts, tz) -%}
    date(timestamp({{ ts }}), {{ tz }})
{%- endmacro %}

{# The UTC timestamp of a wall-clock timestamp in a time zone. #}
{% macro utc_time(local_ts, tz) -%}
    {{ return(adapter.dispatch("utc_time", "analytics_platform")(local_ts, tz)) }}
{%- endmacro %}

{% macro default__utc_time(local_ts, tz) -%}
    timezone('UTC', timezone({{ tz }}, {{ local_ts }}))
{%- endmacro %}

{% macro snowflake__utc_time(local_ts, tz) -%}
    convert_timezone({{ tz }}, 'UTC', {{ local_ts }})
{%- endmacro %}

{% macro bigquery__utc_time(local_ts, tz) -%}
    datetime(parse_timestamp('%F %H:%M:%E6S', format_datetime('%F %H:%M:%E6S', {{ local_ts }}), {{ tz }}))
{%- endmacro %}

{# A loaded timestamp with zone (`event_at`, `received_at`, …) as a plain UTC timestamp. #}
{% macro utc_timestamp(column) -%}
    {{ return(adapter.dispatch("utc_timestamp", "analytics_platform")(column)) }}
{%- endmacro %}

{% macro default__utc_timestamp(column) -%}
    timezone('UTC', {{ column }})
{%- endmacro %}

{% macro snowflake__utc_timestamp(column) -%}
    cast(convert_timezone('UTC', {{ column }}) as timestamp_ntz)
{%- endmacro %}

{% macro bigquery__utc_timestamp(column) -%}
    datetime({{ column }}, 'UTC')
{%- endmacro %}

{# A date moved by a signed number of days or months; months clip to the last day of a shorter month. #}
{% macro add_days(date, days) -%}
    {{ return(adapter.dispatch("add_days", "analytics_platform")(date, days)) }}
{%- endmacro %}

{% macro default__add_days(date, days) -%}
    cast({{ date }} + to_days(cast({{ days }} as integer)) as date)
{%- endmacro %}

{% macro snowflake__add_days(date, days) -%}
    cast(dateadd(day, {{ days }}, {{ date }}) as date)
{%- endmacro %}

{% macro bigquery__add_days(date, days) -%}
    date_add({{ date }}, interval {{ days }} day)
{%- endmacro %}

{% macro add_months(date, months) -%}
    {{ return(adapter.dispatch("add_months", "analytics_platform")(date, months)) }}
{%- endmacro %}

{% macro default__add_months(date, months) -%}
    cast({{ date }} + to_months(cast({{ months }} as integer)) as date)
{%- endmacro %}

{% macro snowflake__add_months(date, months) -%}
    cast(dateadd(month, {{ months }}, {{ date }}) as date)
{%- endmacro %}

{% macro bigquery__add_months(date, months) -%}
    date_add({{ date }}, interval {{ months }} month)
{%- endmacro %}

{# First day of the month of a date, as a date. #}
{% macro month_of(date) -%}
    {{ return(adapter.dispatch("month_of", "analytics_platform")(date)) }}
{%- endmacro %}

{% macro default__month_of(date) -%}
    cast(date_trunc('month', {{ date }}) as date)
{%- endmacro %}

{% macro bigquery__month_of(date) -%}
    date_trunc({{ date }}, month)
{%- endmacro %}

{# Whole days from `first` to `last`, negative when `last` is earlier. #}
{% macro days_from(first, last) -%}
    {{ return(adapter.dispatch("days_from", "analytics_platform")(first, last)) }}
{%- endmacro %}

{% macro default__days_from(first, last) -%}
    datediff('day', {{ first }}, {{ last }})
{%- endmacro %}

{% macro snowflake__days_from(first, last) -%}
    datediff(day, {{ first }}, {{ last }})
{%- endmacro %}

{% macro bigquery__days_from(first, last) -%}
    date_diff({{ last }}, {{ first }}, day)
{%- endmacro %}

{# ISO weekday of a date as an integer: 1 is Monday and 7 is Sunday. #}
{% macro iso_weekday(date) -%}
    {{ return(adapter.dispatch("iso_weekday", "analytics_platform")(date)) }}
{%- endmacro %}

{% macro default__iso_weekday(date) -%}
    cast(isodow({{ date }}) as integer)
{%- endmacro %}

{% macro snowflake__iso_weekday(date) -%}
    dayofweekiso({{ date }})
{%- endmacro %}

{% macro bigquery__iso_weekday(date) -%}
    cast(mod(extract(dayofweek from {{ date }}) + 5, 7) + 1 as int64)
{%- endmacro %}

{#
  First day D whose day twelve months earlier is not before the date: the date counts in the rolling year of D - 1 and no longer in that of D.
  That is the date plus 12 months, but 1 March for 29 February, whose clipped anniversary (28 February) is still in the year.
#}
{% macro rolled_out_on(date) -%}
    case
        when extract(day from {{ add_months(date, 12) }}) = extract(day from {{ date }}) then {{ add_months(date, 12) }}
        else {{ add_days(add_months(date, 12), 1) }}
    end
{%- endmacro %}
