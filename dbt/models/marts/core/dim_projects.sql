{# Every staged event of the plan may name a project. #}
{% set events = [
    "stg_billing__invoice_issued",
    "stg_billing__invoice_paid",
    "stg_billing__invoice_overdue",
    "stg_billing__invoice_credited",
    "stg_billing__invoice_written_off",
    "stg_billing__invoice_voided",
    "stg_billing__subscription_started",
    "stg_billing__subscription_changed",
    "stg_billing__subscription_cancelled",
    "stg_inventory__equipment_registered",
    "stg_inventory__equipment_status_changed",
    "stg_inventory__booking_confirmed",
    "stg_inventory__booking_cancelled",
    "stg_inventory__scan_completed",
    "stg_inventory__scan_exception",
    "stg_transport__transport_scheduled",
    "stg_transport__transport_departed",
    "stg_transport__transport_cancelled",
    "stg_transport__transport_arrived",
    "stg_marketing__lead_created",
    "stg_crm__lead_qualified",
    "stg_crm__lead_converted",
    "stg_crm__nps_submitted",
    "stg_support__ticket_opened",
    "stg_support__ticket_resolved",
    "stg_support__ticket_reopened",
    "stg_product__ui_flow_step",
    "stg_product__http_request"
] %}

with seen as (
    {%- for event in events %}
    select
        tenant_id,
        project_id,
        min(occurred_on) as first_seen_on,
        max(occurred_on) as last_seen_on
    from {{ ref(event) }}
    where project_id is not null
    group by tenant_id, project_id
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    tenant_id,
    project_id,
    min(first_seen_on) as first_seen_on,
    max(last_seen_on) as last_seen_on
from seen
group by tenant_id, project_id
