{# For each key, every weight column adds up to exactly one. #}
{% test touch_weights_add_up(model, key, weights) %}
    select {{ key | join(", ") }}
    from {{ model }}
    group by {{ key | join(", ") }}
    having
        {% for weight in weights %}
            sum({{ weight }}) <> 1{{ " or" if not loop.last }}
        {% endfor %}
{% endtest %}
