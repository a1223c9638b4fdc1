-- Health of the service, by route: how many requests, how they ended, how long they took.
{{ config(
    materialized="incremental", incremental_strategy="replace_days", on_schema_change="append_new_columns", full_refresh=false,
    partition_by={"field": "day", "data_type": "date"} if target.type == "bigquery" else none
) }}

select
    occurred_on as day,
    tenant_id,
    method,
    route,
    cast(floor(status / 100) as integer) * 100 as status_class,
    count(*) as requests,
    {{ quantile("duration_ms", 0.5) }} as median_duration_ms,
    {{ quantile("duration_ms", 0.95) }} as p95_duration_ms,
    max(duration_ms) as longest_duration_ms
from {{ ref("stg_product__http_request") }}
where {{ built_days("occurred_on") }}
group by occurred_on, tenant_id, method, route, cast(floor(status / 100) as integer) * 100
