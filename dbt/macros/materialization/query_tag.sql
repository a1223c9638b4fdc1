{#
  What Snowflake's bill is divided by: the tag of the run (profiles.yml), with the asset and the days of the node that is at work.
  It replaces dbt-snowflake's macros, which ask the session for its tag before each node.
#}
{% macro snowflake__set_query_tag() -%}
    {%- set said = fromjson(target.query_tag or "{}") -%}
    {%- do said.update({"asset": query_tag_asset()}) -%}
    {%- if var("start_day") and var("end_day") -%}
        {%- do said.update({"first_day": var("start_day"), "last_day": var("end_day")}) -%}
    {%- endif -%}
    {%- do run_query("alter session set query_tag = '" ~ (tojson(said) | replace("'", "''")) ~ "'") -%}
{%- endmacro %}

{# The next node sets its own. #}
{% macro snowflake__unset_query_tag(original_query_tag) -%}
{%- endmacro %}

{# The key of a model in the graph, which is its folders; a seed lies below `reference`, and a test has its own name. #}
{% macro query_tag_asset() -%}
    {%- if model.resource_type == "model" -%}
        {{ return((model.fqn[1:-1] + [model.name]) | join("/")) }}
    {%- elif model.resource_type == "seed" -%}
        {{ return("reference/" ~ model.name) }}
    {%- else -%}
        {{ return(model.name) }}
    {%- endif -%}
{%- endmacro %}
