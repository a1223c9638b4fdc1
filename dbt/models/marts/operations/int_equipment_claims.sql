-- How many events claim a status of each item, and whether one of them lies in the days of this build: what has changed
-- since an item's spans were last worked out shows here, whatever changed it.

{% set events = ["equipment_registered", "equipment_status_changed", "scan_completed", "scan_exception"] %}

with claims as (
    {%- for event in events %}
    select
        day,
        tenant_id,
        equipment_id
    from {{ ref("stg_inventory__" ~ event) }}
    {{ "where " ~ is_claim_of_exception() if event == "scan_exception" }}
    {{ "union all" if not loop.last }}
    {%- endfor %}
)

select
    tenant_id,
    equipment_id,
    count(*) as claim_count,
    max(case when {{ built_days() }} then 1 else 0 end) = 1 as has_claims_in_build
from claims
group by tenant_id, equipment_id
