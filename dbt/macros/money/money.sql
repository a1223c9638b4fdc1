{#
  Minor units in another currency: exact decimal multiplication, rounded half away from zero to a whole minor unit.
  `rate` is a decimal(18,8); the result is NULL, never 0, when the rate is unknown.
#}
{% macro converted(amount_minor, rate) -%}
    cast(round({{ to_decimal(amount_minor, 18, 0) }} * {{ rate }}, 0) as bigint)
{%- endmacro %}

{# Booking-value band of an amount in minor units, for drill-down; NULL when there is no value. #}
{% macro booking_value_band(amount_minor) -%}
    case
        when {{ amount_minor }} is null then null
        when {{ amount_minor }} < 50000 then 'under_500'
        when {{ amount_minor }} < 250000 then '500_to_2500'
        when {{ amount_minor }} < 1000000 then '2500_to_10000'
        when {{ amount_minor }} < 5000000 then '10000_to_50000'
        else 'over_50000'
    end
{%- endmacro %}
