{# Band of the minutes between a plan and what became of it; the names sort as the bands do. #}
{% macro delay_band(minutes) -%}
    case
        when {{ minutes }} <= 0 then '0_on_plan'
        when {{ minutes }} < 5 then '1_under_5'
        when {{ minutes }} < 15 then '2_5_to_15'
        when {{ minutes }} < 30 then '3_15_to_30'
        when {{ minutes }} < 60 then '4_30_to_60'
        when {{ minutes }} < 120 then '5_60_to_120'
        else '6_over_120'
    end
{%- endmacro %}
