select
    tenant_id,
    name,
    country,
    time_zone,
    currency,
    financial_year_end,
    on_time_threshold_minutes
from {{ source("raw", "tenants") }}
