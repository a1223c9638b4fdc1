{# What stands above each statement, as JSON: the asset that it is for and the workload, by the names that the platform's own jobs have. #}
{% macro job_comment(node) -%}
    {%- set folders = node.original_file_path.split("/")[1:-1] if node is not none and node.resource_type == "model" else [] -%}
    {{ return(tojson({
        "asset": (folders + [node.name]) | join("/") if node is not none else "dbt",
        "workload": env_var("ANALYTICS_BIGQUERY_WORKLOAD", "nightly"),
        "environment": env_var("ANALYTICS_BIGQUERY_ENVIRONMENT", "local"),
    })) }}
{%- endmacro %}
