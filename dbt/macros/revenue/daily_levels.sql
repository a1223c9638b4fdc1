{#
  What adds up at the end of each built day: a subquery with one row per built day and key, column `day`, and for every measure its sum
  over the rows of `spans` that hold on the day. A row holds from `starts_on` (included) to `ends_on` (excluded).
  Sums of steps, because a span of a year would otherwise be joined to each of its days. Keys may be NULL; measures may not.
#}
{% macro daily_levels(spans, keys, measures) -%}
    (
        select
            days.day,
            {%- for key in keys %}
            series.{{ key }},
            {%- endfor %}
            {%- for measure in measures %}
            sum(coalesce(daily.{{ measure }}, 0)) over (
                partition by {% for key in keys %}series.{{ key }}{{ ", " if not loop.last }}{% endfor %}
                order by days.day
            ) as {{ measure }}{{ "," if not loop.last }}
            {%- endfor %}
        from (select distinct {{ keys | join(", ") }} from {{ spans }} where {{ _holds_in_build() }}) as series
        cross join {{ day_spine() }} as days
        left join {{ _daily_steps(spans, keys, measures) }} as daily
            on
                days.day = daily.day
                {%- for key in keys %}
                and series.{{ key }} is not distinct from daily.{{ key }}
                {%- endfor %}
    )
{%- endmacro %}

{# What is added on each built day; all that happened before the build falls on its first day. #}
{% macro _daily_steps(spans, keys, measures) -%}
    (
        select
            greatest(step_on, {{ start_day() }}) as day,
            {{ keys | join(", ") }},
            {%- for measure in measures %}
            sum({{ measure }}) as {{ measure }}{{ "," if not loop.last }}
            {%- endfor %}
        from (
            {%- for edge, sign in [("starts_on", ""), ("ends_on", "-")] %}
            select
                {{ edge }} as step_on,
                {{ keys | join(", ") }},
                {%- for measure in measures %}
                {{ sign }}{{ measure }} as {{ measure }}{{ "," if not loop.last }}
                {%- endfor %}
            from {{ spans }}
            where {{ _holds_in_build() }}
            {%- if not loop.last %}
            union all
            {%- endif %}
            {%- endfor %}
        ) as steps
        where step_on <= {{ end_day() }}
        group by greatest(step_on, {{ start_day() }}), {{ keys | join(", ") }}
    )
{%- endmacro %}

{# Whether a row of the spans holds on any of the built days: the others would add and take away the same. #}
{% macro _holds_in_build() -%}
    starts_on < ends_on and starts_on <= {{ end_day() }} and ends_on > {{ start_day() }}
{%- endmacro %}

{# The end of a span whose last day is not known: later than any day that is built. #}
{% macro open_end(day) -%}
    coalesce({{ day }}, date '9999-12-31')
{%- endmacro %}
