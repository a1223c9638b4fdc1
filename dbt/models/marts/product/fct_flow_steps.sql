-- How far people come in a flow of the product: runs that reached each step, and how the step ended.
{{ config(
    materialized="incremental", incremental_strategy="replace_days", on_schema_change="append_new_columns", full_refresh=false,
    partition_by={"field": "day", "data_type": "date"} if target.type == "bigquery" else none
) }}

select
    occurred_on as day,
    tenant_id,
    project_id,
    flow,
    step,
    outcome,
    count(*) as steps,
    count(distinct flow_run_id) as flow_runs,
    count(error_code) as errors,
    {{ quantile("duration_ms", 0.5) }} as median_duration_ms
from {{ ref("stg_product__ui_flow_step") }}
where {{ built_days("occurred_on") }}
group by occurred_on, tenant_id, project_id, flow, step, outcome
