{# An invoice, a payment and a credit note count once however often they are reported: the first report decides. #}
with issued as (
    select
        invoices.tenant_id,
        invoices.invoice_id,
        invoices.currency,
        invoices.amount_minor as total_minor,
        invoices.occurred_on as issued_on,
        {{ business_date("invoices.due_at", "tenants.time_zone") }} as due_on
    from {{ ref("stg_billing__invoice_issued") }} as invoices
    inner join {{ ref("dim_tenants") }} as tenants
        on invoices.tenant_id = tenants.tenant_id
    qualify row_number() over (
        partition by invoices.tenant_id, invoices.invoice_id
        order by invoices.occurred_at, invoices.event_at, invoices.message_id
    ) = 1
),

payments as (
    select
        tenant_id,
        invoice_id,
        currency,
        occurred_on,
        amount_minor as paid_minor,
        0 as credited_minor,
        0 as voids
    from {{ ref("stg_billing__invoice_paid") }}
    qualify row_number() over (
        partition by tenant_id, invoice_id, payment_id
        order by occurred_at, event_at, message_id
    ) = 1
),

credits as (
    select
        tenant_id,
        invoice_id,
        currency,
        occurred_on,
        0 as paid_minor,
        amount_minor as credited_minor,
        0 as voids
    from {{ ref("stg_billing__invoice_credited") }}
    qualify row_number() over (
        partition by tenant_id, invoice_id, credit_id
        order by occurred_at, event_at, message_id
    ) = 1
),

voids as (
    select
        tenant_id,
        invoice_id,
        currency,
        occurred_on,
        0 as paid_minor,
        0 as credited_minor,
        1 as voids
    from {{ ref("stg_billing__invoice_voided") }}
),

facts as (
    select * from payments
    union all
    select * from credits
    union all
    select * from voids
),

{# What is dated before the invoice (a deposit) counts from the day that the invoice exists. #}
changes as (
    select
        issued.tenant_id,
        issued.invoice_id,
        issued.issued_on as changed_on,
        0 as paid_minor,
        0 as credited_minor,
        0 as voids
    from issued

    union all

    select
        issued.tenant_id,
        issued.invoice_id,
        greatest(issued.issued_on, facts.occurred_on) as changed_on,
        facts.paid_minor,
        facts.credited_minor,
        facts.voids
    from facts
    inner join issued
        on
            facts.tenant_id = issued.tenant_id
            and facts.invoice_id = issued.invoice_id
            and facts.currency = issued.currency
),

days as (
    select
        tenant_id,
        invoice_id,
        changed_on,
        sum(paid_minor) as paid_minor,
        sum(credited_minor) as credited_minor,
        sum(voids) as voids
    from changes
    group by tenant_id, invoice_id, changed_on
),

totals as (
    select
        tenant_id,
        invoice_id,
        changed_on as valid_from_on,
        lead(changed_on) over in_order as valid_to_on,
        sum(paid_minor) over in_order as paid_minor,
        sum(credited_minor) over in_order as credited_minor,
        sum(voids) over in_order > 0 as is_void
    from days
    window in_order as (
        partition by tenant_id, invoice_id
        order by changed_on
    )
),

amounts as (
    select
        totals.*,
        issued.currency,
        issued.issued_on,
        issued.due_on,
        issued.total_minor,
        case when totals.is_void then 0 else greatest(0, issued.total_minor - totals.credited_minor) end as net_minor
    from totals
    inner join issued
        on
            totals.tenant_id = issued.tenant_id
            and totals.invoice_id = issued.invoice_id
)

select
    tenant_id,
    invoice_id,
    valid_from_on,
    valid_to_on,
    currency,
    issued_on,
    due_on,
    is_void,
    total_minor,
    cast(credited_minor as bigint) as credited_minor,
    cast(paid_minor as bigint) as paid_minor,
    cast(net_minor as bigint) as net_minor,
    cast(least(paid_minor, net_minor) as bigint) as collected_minor
from amounts
