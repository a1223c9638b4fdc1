{#
  Own generic tests: each covers what would otherwise be several tests, because a test costs more in overhead than in work.
  `day_column` limits a test to the days that the build replaces; without it the whole table is tested.
#}

{# None of the columns is NULL in any row. #}
{% test no_nulls(model, columns, day_column=none) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    where ({% for column in columns %}{{ column }} is null{{ " or " if not loop.last }}{% endfor %})
    {% if day_column %}and {{ built_days(day_column) }}{% endif %}
{% endtest %}

{# None of the columns is below zero in any row (NULL passes). #}
{% test not_negative(model, columns, day_column=none) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    where ({% for column in columns %}{{ column }} < 0{{ " or " if not loop.last }}{% endfor %})
    {% if day_column %}and {{ built_days(day_column) }}{% endif %}
{% endtest %}

{# An SQL condition holds for every row; NULL counts as broken. #}
{% test holds(model, condition, day_column=none) %}
    select *
    from {{ model }}
    where not coalesce({{ condition }}, false)
    {% if day_column %}and {{ built_days(day_column) }}{% endif %}
{% endtest %}

{# A finer table adds up to a coarser one: for each of the keys the sums of the measures (here to there) are equal. #}
{% test adds_up_to(model, whole, keys, measures, day_column=none) %}
    with both_sides as (
        select
            {{ keys | join(", ") }},
            {% for part in measures %}{{ part }}{{ ", " if not loop.last }}{% endfor %}
        from {{ model }}
        {% if day_column %}where {{ built_days(day_column) }}{% endif %}
        union all
        select
            {{ keys | join(", ") }},
            {% for part, total in measures.items() %}-{{ total }} as {{ part }}{{ ", " if not loop.last }}{% endfor %}
        from {{ whole }}
        {% if day_column %}where {{ built_days(day_column) }}{% endif %}
    )

    select {{ keys | join(", ") }}
    from both_sides
    group by {{ keys | join(", ") }}
    having {% for part in measures %}coalesce(sum({{ part }}), 0) <> 0{{ " or " if not loop.last }}{% endfor %}
{% endtest %}

{# Key unique, no NULL in the key columns that may not have one: the usual pair of a table, in one query. #}
{% test keyed_by(model, columns, nullable=[], day_column=none) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    {% if day_column %}where {{ built_days(day_column) }}{% endif %}
    group by {{ columns | join(", ") }}
    having
        count(*) > 1
        {% for column in columns if column not in nullable %}
            or {{ column }} is null
        {% endfor %}
{% endtest %}

{#
  Staged events of the build: one row per tenant and message, and nothing missing that the plan requires. With `stream` and
  `event` also the same messages, day by day, as are loaded: none lost, none that is not there any more.
#}
{% test sound_events(model, required, stream=none, event=none) %}
    with built as (
        select *
        from {{ model }}
        where {{ built_days("day") }}
    )
    {%- if stream and event %},

    loaded as (
        select
            day,
            tenant_id,
            message_id
        from {{ source("raw", stream) }}
        where
            type = 'track'
            and event = '{{ event }}'
            and {{ built_days("day") }}
    )
    {%- endif %}

    select tenant_id, message_id
    from built
    group by tenant_id, message_id
    having count(*) > 1

    union all

    select tenant_id, message_id
    from built
    where {% for column in required %}{{ column }} is null{{ " or " if not loop.last }}{% endfor %}
    {%- if stream and event %}

    union all

    select
        coalesce(loaded.tenant_id, built.tenant_id) as tenant_id,
        coalesce(loaded.message_id, built.message_id) as message_id
    from loaded
    full outer join built
        on
            loaded.day = built.day
            and loaded.tenant_id = built.tenant_id
            and loaded.message_id = built.message_id
    where loaded.message_id is null or built.message_id is null
    {%- endif %}
{% endtest %}

{# Spans of one key follow each other without overlap; an open end is NULL. #}
{% test spans_do_not_overlap(model, key, starts, ends) %}
    with ordered as (
        select
            {{ starts }} as starts,
            {{ ends }} as ends,
            lead({{ starts }}) over (partition by {{ key | join(", ") }} order by {{ starts }}) as next_starts
        from {{ model }}
    )

    select starts, ends, next_starts
    from ordered
    where ends <= starts or (next_starts is not null and (ends is null or next_starts < ends))
{% endtest %}

{# Every row's columns name a row of the other model (`relationships` for keys of several columns); NULL refers to nothing. #}
{% test refers_to(model, to, columns) %}
    select {% for column in columns %}referring.{{ column }}{{ ", " if not loop.last }}{% endfor %}
    from {{ model }} as referring
    left join {{ to }} as referred
        on
            {% for column in columns %}
            referring.{{ column }} = referred.{{ column }}{{ " and" if not loop.last }}
            {% endfor %}
    where
        referred.{{ columns[0] }} is null
        {% for column in columns %}
        and referring.{{ column }} is not null
        {% endfor %}
{% endtest %}
