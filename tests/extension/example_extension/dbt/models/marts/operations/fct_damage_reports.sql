-- One row for each report: what is told again later does not count.

with reports as (
    select *
    from {{ ref("stg_damage_reports__damage_reported") }}
    qualify row_number() over (partition by tenant_id, report_id order by reported_at, received_at, message_id) = 1
)

select
    tenant_id,
    report_id,
    occurred_on as reported_on,
    project_id,
    equipment_id,
    severity,
    reporter_ref,
    reported_at
from reports
