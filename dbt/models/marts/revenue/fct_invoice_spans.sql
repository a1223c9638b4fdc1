{# An invoice, a payment and a credit note count once however often they are reported: the first report decides. #}
with issued as (
    select
        invoices.tenant_id,
        invoices.invoice_id,
        invoices.project_id,
        invoices.customer_ref,
        {{ booking_value_band("invoices.booking_value_minor") }} as booking_value_band,
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
        0 as credited_minor
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
        amount_minor as credited_minor
    from {{ ref("stg_billing__invoice_credited") }}
    qualify row_number() over (
        partition by tenant_id, invoice_id, credit_id
        order by occurred_at, event_at, message_id
    ) = 1
),

amounts as (
    select * from payments
    union all
    select * from credits
),

{# Amounts in another currency than the invoice's do not count; a void or a write-off has none that could. #}
facts as (
    select
        amounts.tenant_id,
        amounts.invoice_id,
        amounts.occurred_on,
        amounts.paid_minor,
        amounts.credited_minor,
        0 as voids,
        0 as write_offs
    from amounts
    inner join issued
        on
            amounts.tenant_id = issued.tenant_id
            and amounts.invoice_id = issued.invoice_id
            and amounts.currency = issued.currency

    union all

    select
        tenant_id,
        invoice_id,
        occurred_on,
        0 as paid_minor,
        0 as credited_minor,
        1 as voids,
        0 as write_offs
    from {{ ref("stg_billing__invoice_voided") }}

    union all

    select
        tenant_id,
        invoice_id,
        occurred_on,
        0 as paid_minor,
        0 as credited_minor,
        0 as voids,
        1 as write_offs
    from {{ ref("stg_billing__invoice_written_off") }}

    union all

    select
        tenant_id,
        invoice_id,
        issued_on as occurred_on,
        0 as paid_minor,
        0 as credited_minor,
        0 as voids,
        0 as write_offs
    from issued
),

{# What is dated before the invoice (a deposit) counts from the day that the invoice exists. #}
days as (
    select
        issued.tenant_id,
        issued.invoice_id,
        greatest(issued.issued_on, facts.occurred_on) as changed_on,
        sum(facts.paid_minor) as paid_minor,
        sum(facts.credited_minor) as credited_minor,
        sum(facts.voids) as voids,
        sum(facts.write_offs) as write_offs
    from facts
    inner join issued
        on
            facts.tenant_id = issued.tenant_id
            and facts.invoice_id = issued.invoice_id
    group by issued.tenant_id, issued.invoice_id, greatest(issued.issued_on, facts.occurred_on)
),

totals as (
    select
        tenant_id,
        invoice_id,
        changed_on as valid_from_on,
        lead(changed_on) over (partition by tenant_id, invoice_id order by changed_on) as valid_to_on,
        sum(paid_minor) over (partition by tenant_id, invoice_id order by changed_on) as paid_minor,
        sum(credited_minor) over (partition by tenant_id, invoice_id order by changed_on) as credited_minor,
        sum(voids) over (partition by tenant_id, invoice_id order by changed_on) > 0 as is_void,
        sum(write_offs) over (partition by tenant_id, invoice_id order by changed_on) > 0 as is_written_off
    from days
),

standing as (
    select
        totals.*,
        issued.project_id,
        issued.customer_ref,
        issued.booking_value_band,
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
    project_id,
    customer_ref,
    booking_value_band,
    valid_from_on,
    valid_to_on,
    currency,
    issued_on,
    due_on,
    is_void,
    is_written_off,
    total_minor,
    cast(credited_minor as bigint) as credited_minor,
    cast(paid_minor as bigint) as paid_minor,
    cast(net_minor as bigint) as net_minor,
    cast(least(paid_minor, net_minor) as bigint) as collected_minor
from standing
