with issued as (
    select *
    from {{ ref("stg_billing__invoice_issued") }}
    qualify row_number() over (
        partition by tenant_id, invoice_id
        order by occurred_at, event_at, message_id
    ) = 1
),

closing as (
    select *
    from {{ ref("fct_invoice_spans") }}
    where valid_to_on is null
),

payments as (
    select
        tenant_id,
        invoice_id,
        max(occurred_at) as last_paid_at
    from {{ ref("stg_billing__invoice_paid") }}
    group by tenant_id, invoice_id
),

write_offs as (
    select
        tenant_id,
        invoice_id,
        min(occurred_at) as written_off_at
    from {{ ref("stg_billing__invoice_written_off") }}
    group by tenant_id, invoice_id
),

overdue as (
    select distinct
        tenant_id,
        invoice_id
    from {{ ref("stg_billing__invoice_overdue") }}
),

voids as (
    select
        tenant_id,
        invoice_id,
        min(occurred_at) as voided_at
    from {{ ref("stg_billing__invoice_voided") }}
    group by tenant_id, invoice_id
)

select
    issued.tenant_id,
    issued.invoice_id,
    issued.project_id,
    issued.booking_id,
    issued.customer_ref,
    issued.currency,
    issued.booking_value_minor,
    issued.booking_currency,
    {{ booking_value_band("issued.booking_value_minor") }} as booking_value_band,
    issued.occurred_at as issued_at,
    issued.due_at,
    closing.issued_on,
    closing.due_on,
    closing.total_minor,
    issued.tax_minor,
    closing.credited_minor,
    closing.paid_minor,
    closing.net_minor,
    closing.collected_minor,
    case
        when closing.is_void then 'voided'
        when closing.net_minor = 0 then 'credited'
        when closing.collected_minor = closing.net_minor then 'paid'
        when write_offs.written_off_at is not null then 'written_off'
        when overdue.invoice_id is not null then 'overdue'
        when closing.collected_minor > 0 then 'partially_paid'
        else 'issued'
    end as status,
    payments.last_paid_at,
    write_offs.written_off_at,
    voids.voided_at
from issued
inner join closing
    on
        issued.tenant_id = closing.tenant_id
        and issued.invoice_id = closing.invoice_id
left join payments
    on
        issued.tenant_id = payments.tenant_id
        and issued.invoice_id = payments.invoice_id
left join write_offs
    on
        issued.tenant_id = write_offs.tenant_id
        and issued.invoice_id = write_offs.invoice_id
left join overdue
    on
        issued.tenant_id = overdue.tenant_id
        and issued.invoice_id = overdue.invoice_id
left join voids
    on
        issued.tenant_id = voids.tenant_id
        and issued.invoice_id = voids.invoice_id
