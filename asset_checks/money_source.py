"""Money as the billing messages say it: SQL over `raw.billing` alone, for the reconciliation of source against gold.

Written a second time on purpose: it shares no code with dbt's models, reads the JSON as it came and adds up in other
steps, so that a mistake in either shows. What both must agree on is the definition (`docs/quality.md`): the first report
of an invoice, a payment or a credit note counts, and amounts in another currency than the invoice's do not.
"""

_EVENTS = ("issued", "paid", "credited", "voided")

_STAGED = " union all ".join(
    f"select day, tenant_id, '{event}' as event, count(*) as rows from staging.stg_billing__{event.replace('.', '_')} group by all"
    for event in (
        *(f"invoice.{name}" for name in _EVENTS),
        "subscription.started",
        "subscription.changed",
        "subscription.cancelled",
    )
)

MESSAGES = f"""
    staged as ({_STAGED}),
    arrived as (
        select day, tenant_id, event, count(*) as rows
        from raw.billing where type = 'track' group by all
    ),
    messages as (
        select
            billing.tenant_id, billing.event, billing.event_at, billing.message_id, billing.properties,
            tenants.time_zone,
            cast(billing.properties ->> '$.amount_minor' as bigint) as amount_minor,
            billing.properties ->> '$.currency' as currency,
            billing.properties ->> '$.invoice_id' as invoice_id
        from raw.billing as billing
        inner join raw.tenants as tenants on billing.tenant_id = tenants.tenant_id
        left join (
            select arrived.* from arrived inner join staged
                on arrived.day = staged.day and arrived.tenant_id = staged.tenant_id
                and arrived.event = staged.event and arrived.rows = staged.rows
        ) as built
            on billing.day = built.day and billing.tenant_id = built.tenant_id and billing.event = built.event
        where billing.type = 'track' and (billing.day between $1 and $2 or built.day is not null)
    )
"""
"""CTEs: the messages that the models have seen. A day outside of the run (`$1` to `$2`) that has been loaded again
and not yet built again waits for its build, as a whole; within the run nothing is left out."""

INVOICES = """
    invoices as (
        select *, cast(timezone(time_zone, happened_at) as date) as issued_on,
            cast(timezone(time_zone, cast(properties ->> '$.due_at' as timestamptz)) as date) as due_on
        from (select *, cast(properties ->> '$.issued_at' as timestamptz) as happened_at from messages where event = 'invoice.issued')
        qualify row_number() over (partition by tenant_id, invoice_id order by happened_at, event_at, message_id) = 1
    )
"""


def _amounts(name: str, event: str, key: str, moment: str) -> str:
    return f"""
    {name} as (
        select facts.tenant_id, facts.invoice_id, facts.currency, facts.amount_minor,
            cast(timezone(facts.time_zone, facts.happened_at) as date) as happened_on,
            invoices.invoice_id is null as is_left_out
        from (
            select * from (
                select *, cast(properties ->> '$.{moment}' as timestamptz) as happened_at from messages where event = '{event}'
            )
            qualify row_number() over (
                partition by tenant_id, invoice_id, properties ->> '$.{key}' order by happened_at, event_at, message_id
            ) = 1
        ) as facts
        left join invoices
            on facts.tenant_id = invoices.tenant_id
            and facts.invoice_id = invoices.invoice_id
            and facts.currency = invoices.currency
    )
"""


PAYMENTS = _amounts("payments", "invoice.paid", "payment_id", "paid_at")
CREDITS = _amounts("credits", "invoice.credited", "credit_id", "credited_at")

INVOICE_TOTALS = f"""
with {MESSAGES}, {INVOICES}, {PAYMENTS}, {CREDITS},
source as (
    select 'issued' as amount, tenant_id, currency, sum(amount_minor) as source_minor, 0 as left_out_minor from invoices group by all
    union all
    select 'paid', tenant_id, currency, sum(amount_minor), coalesce(sum(amount_minor) filter (is_left_out), 0) from payments group by all
    union all
    select 'credited', tenant_id, currency, sum(amount_minor), coalesce(sum(amount_minor) filter (is_left_out), 0) from credits group by all
),
gold as (
    select
        tenant_id, currency,
        unnest(['issued', 'paid', 'credited']) as amount,
        unnest([sum(total_minor), sum(paid_minor), sum(credited_minor)]) as gold_minor
    from marts.fct_invoices group by tenant_id, currency
)
select
    amount, tenant_id, currency,
    cast(coalesce(source_minor, 0) as bigint) as source_minor,
    cast(coalesce(left_out_minor, 0) as bigint) as left_out_minor,
    cast(coalesce(gold_minor, 0) as bigint) as gold_minor
from source full join gold using (amount, tenant_id, currency)
order by amount, tenant_id, currency
"""
"""By kind of amount, tenant and currency: the sum in the source, what of it belongs to no invoice, and the sum in the mart."""

COLLECTION = f"""
with {MESSAGES}, {INVOICES}, {PAYMENTS}, {CREDITS},
voids as (
    select tenant_id, invoice_id, min(cast(timezone(time_zone, cast(properties ->> '$.voided_at' as timestamptz)) as date)) as voided_on
    from messages where event = 'invoice.voided' group by all
),
paid as (select tenant_id, invoice_id, sum(amount_minor) as minor from payments where not is_left_out and happened_on <= $2 group by all),
credited as (select tenant_id, invoice_id, sum(amount_minor) as minor from credits where not is_left_out and happened_on <= $2 group by all),
standing as (
    select invoices.tenant_id, invoices.currency, invoices.issued_on, invoices.due_on, coalesce(paid.minor, 0) as paid_minor,
        greatest(invoices.amount_minor - coalesce(credited.minor, 0), 0) as net_minor
    from invoices
    left join paid using (tenant_id, invoice_id)
    left join credited using (tenant_id, invoice_id)
    left join voids using (tenant_id, invoice_id)
    where invoices.issued_on <= $2 and (voids.voided_on is null or voids.voided_on > $2)
),
source as (
    select basis, tenant_id, currency, sum(net_minor) as net_minor, sum(least(paid_minor, net_minor)) as collected_minor
    from (
        select 'due' as basis, due_on as basis_on, * from standing
        union all
        select 'issued', issued_on, * from standing
    )
    where basis_on <= $2 and basis_on + interval 12 month > $2
    group by all
),
gold as (
    select basis, tenant_id, currency, net_invoiced_minor, collected_minor from kpi.kpi_invoice_collection_rate where day = $2
),
compared as (
    select coalesce(source.basis, gold.basis) as basis, coalesce(source.tenant_id, gold.tenant_id) as tenant_id,
        coalesce(source.currency, gold.currency) as currency, source.net_minor, gold.net_invoiced_minor,
        source.collected_minor as source_collected_minor, gold.collected_minor as gold_collected_minor
    from source full join gold
        on source.basis = gold.basis and source.tenant_id = gold.tenant_id and source.currency = gold.currency
)
select 'invoiced_by_' || basis || '_day' as amount, tenant_id, currency, cast(coalesce(net_minor, 0) as bigint) as source_minor,
    0 as left_out_minor, cast(coalesce(net_invoiced_minor, 0) as bigint) as gold_minor
from compared
union all
select 'collected_by_' || basis || '_day', tenant_id, currency, cast(coalesce(source_collected_minor, 0) as bigint),
    0, cast(coalesce(gold_collected_minor, 0) as bigint)
from compared
order by 1, 2, 3
"""
"""What was invoiced and collected in the twelve months up to the last day of the run, as the facts up to it say."""

RECURRING = f"""
with {MESSAGES},
facts as (
    select *, cast(timezone(time_zone, happened_at) as date) as happened_on
    from (
        select tenant_id, event_at, message_id, currency, time_zone, properties ->> '$.subscription_id' as subscription_id,
            list_position(['subscription.started', 'subscription.changed', 'subscription.cancelled'], event) as place,
            case event
                when 'subscription.started' then cast(properties ->> '$.started_at' as timestamptz)
                when 'subscription.changed' then cast(properties ->> '$.changed_at' as timestamptz)
                else cast(properties ->> '$.effective_at' as timestamptz)
            end as happened_at,
            case event
                when 'subscription.started' then cast(properties ->> '$.mrr_minor' as bigint)
                when 'subscription.changed' then cast(properties ->> '$.mrr_after_minor' as bigint)
                else 0
            end as mrr_minor
        from messages where event like 'subscription.%'
    )
),
days as (select cast(unnest(generate_series($1, $2, interval 1 day)) as date) as day),
standing as (
    select days.day, facts.tenant_id, facts.subscription_id,
        arg_max(struct_pack(currency := facts.currency, mrr_minor := facts.mrr_minor),
            struct_pack(a := facts.happened_at, b := facts.event_at, c := facts.place, d := facts.message_id)) as last_fact
    from days inner join facts on facts.happened_on <= days.day
    group by all
),
source as (
    select day, tenant_id, last_fact.currency as currency, sum(last_fact.mrr_minor) as mrr_minor from standing group by all
),
gold as (
    select day, tenant_id, currency, sum(mrr_minor) as mrr_minor from kpi.kpi_mrr where day between $1 and $2 group by all
)
select 'mrr' as amount, day, tenant_id, currency, cast(coalesce(source.mrr_minor, 0) as bigint) as source_minor,
    0 as left_out_minor, cast(coalesce(gold.mrr_minor, 0) as bigint) as gold_minor
from source full join gold using (day, tenant_id, currency)
order by day, tenant_id, currency
"""
"""Monthly recurring revenue at the end of each day of the run: of each subscription the last fact up to then, and not the
spans and steps that the models have."""
