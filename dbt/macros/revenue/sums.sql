{# A sum of minor units that is unknown (NULL) when any of its parts is. #}
{% macro sum_if_known(expression) -%}
    case when count(*) = count({{ expression }}) then cast(sum({{ expression }}) as bigint) end
{%- endmacro %}
