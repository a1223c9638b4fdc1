{#
  Days that settle later. What is planned or created on a day is judged by what follows within a bounded time (24 hours for a
  departure, 90 days for a conversion). Config `settling_days` says how many days; each build replaces that many days before
  `start_day` too, so a nightly build moves the days that its new facts decide, and a day rebuilt alone is the same.
#}

{# First day that a build of the current model replaces, as a date expression. #}
{% macro first_settling_day() -%}
    {{ add_days(start_day(), -(config.get("settling_days", 0) | int)) }}
{%- endmacro %}

{% macro settling_days(column="day") -%}
    {{ column }} between {{ first_settling_day() }} and {{ end_day() }}
{%- endmacro %}

{% macro get_incremental_replace_settling_days_sql(arg_dict) -%}
    {{ return(adapter.dispatch("replace_settling_days_sql", "analytics_platform")(arg_dict)) }}
{%- endmacro %}

{% macro default__replace_settling_days_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    delete from {{ arg_dict["target_relation"] }}
    where {{ settling_days("day") }};

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{%- endmacro %}
