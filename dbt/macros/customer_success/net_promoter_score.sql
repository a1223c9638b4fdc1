{#
  The 95 % interval of the net promoter score, for any selection: pass sums of the counts, so that an interval of an aggregate is
  made from the aggregate's counts (intervals themselves cannot be added up). NULL when nobody answered.

  Interval: adjusted Wald (B. Rocks, "Interval Estimation for the Net Promoter Score", The American Statistician, 2016):
  three answers are added, 3/4 promoting, 3/4 detracting and 3/2 passive, then score -/+ z * sqrt(variance / n). Both ends are
  kept within -100 and 100, which no score leaves.
#}
{% macro net_promoter_interval_low(promoters, passives, detractors) -%}
    case
        when {{ promoters }} + {{ passives }} + {{ detractors }} > 0
            then greatest(
                -100,
                100 * (
                    {{ _nps_center(promoters, passives, detractors) }} - {{ _nps_margin(promoters, passives, detractors) }}
                )
            )
    end
{%- endmacro %}

{% macro net_promoter_interval_high(promoters, passives, detractors) -%}
    case
        when {{ promoters }} + {{ passives }} + {{ detractors }} > 0
            then least(
                100,
                100 * (
                    {{ _nps_center(promoters, passives, detractors) }} + {{ _nps_margin(promoters, passives, detractors) }}
                )
            )
    end
{%- endmacro %}

{# Answers with the three that are added, as a float. #}
{% macro _nps_answers(promoters, passives, detractors) -%}
    (cast({{ promoters }} + {{ passives }} + {{ detractors }} as {{ float_type() }}) + 3)
{%- endmacro %}

{% macro _nps_center(promoters, passives, detractors) -%}
    (({{ promoters }} - {{ detractors }}) / {{ _nps_answers(promoters, passives, detractors) }})
{%- endmacro %}

{# z of 97.5 %, times the standard error: variance of the difference of two shares of the same answers. #}
{% macro _nps_margin(promoters, passives, detractors) -%}
    {%- set answers = _nps_answers(promoters, passives, detractors) -%}
    {%- set center = _nps_center(promoters, passives, detractors) -%}
    (1.959963984540054 * sqrt((({{ promoters }} + {{ detractors }} + 1.5) / {{ answers }} - {{ center }} * {{ center }}) / {{ answers }}))
{%- endmacro %}
