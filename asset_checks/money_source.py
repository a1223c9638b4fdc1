"""Money as the billing messages say it: SQL over `raw.billing` alone, for the reconciliation of source against gold.

Written a second time on purpose: it shares no code with dbt's models, reads the JSON as it came and adds up in other
steps, so that a mistake in either shows. What both must agree on is the definition (`docs/quality.md`): the first
report of an invoice, a payment or a credit note counts, and amounts in another currency than the invoice's do not.

Each query takes the first and the last day of the run. Columns: `amount`, `tenant_id`, `currency`, `source_minor`, of
it `left_out_minor` (what belongs to no invoice of its currency), and `gold_minor`.
"""

from collections.abc import Iterable

_INVOICE_EVENTS = ("invoice.issued", "invoice.paid", "invoice.credited", "invoice.voided")
_SUBSCRIPTION_EVENTS = ("subscription.started", "subscription.changed", "subscription.cancelled")


def _messages(events: Iterable[str]) -> str:
    """The messages that count for those events.

    A message that came since its day was built (outside of the run) waits for the next build; within the run all count.
    """
    staged = " union all ".join(
        f"select tenant_id, message_id from staging.stg_billing__{event.replace('.', '_')}" for event in events
    )
    return f"""
    staged as ({staged}),
    messages as (
        select
            billing.tenant_id, billing.event, billing.event_at, billing.message_id, billing.properties,
            tenants.time_zone,
            cast(billing.properties ->> '$.amount_minor' as bigint) as amount_minor,
            billing.properties ->> '$.currency' as currency,
            billing.properties ->> '$.invoice_id' as invoice_id
        from raw.billing as billing
        inner join raw.tenants as tenants on billing.tenant_id = tenants.tenant_id
        where
            billing.type = 'track'
            and (
                billing.day between $1 and $2
                or (billing.tenant_id, billing.message_id) in (select (tenant_id, message_id) from staged)
            )
    )
"""


def _moment(name: str) -> str:
    return f"cast(properties ->> '$.{name}' as timestamptz)"


def _date(moment: str) -> str:
    return f"cast({moment} at time zone time_zone as date)"


def _first_reports(event: str, key: str, moment: str) -> str:
    """The first report of each invoice, payment or credit note."""
    return f"""
        select *, {_date("happened_at")} as happened_on
        from (select *, {_moment(moment)} as happened_at from messages where event = '{event}')
        qualify row_number() over (
            partition by tenant_id, invoice_id, properties ->> '$.{key}'
            order by happened_at, event_at, message_id
        ) = 1
    """


def _amounts(event: str, key: str, moment: str) -> str:
    return f"""
        select
            facts.tenant_id, facts.invoice_id, facts.currency, facts.amount_minor, facts.happened_on,
            invoices.invoice_id is null as is_left_out
        from ({_first_reports(event, key, moment)}) as facts
        left join invoices
            on facts.tenant_id = invoices.tenant_id and facts.invoice_id = invoices.invoice_id
            and facts.currency = invoices.currency
    """


_INVOICES = f"""
    {_messages(_INVOICE_EVENTS)},
    invoices as (
        select *, happened_on as issued_on, {_date(_moment("due_at"))} as due_on
        from ({_first_reports("invoice.issued", "invoice_id", "issued_at")})
    ),
    payments as ({_amounts("invoice.paid", "payment_id", "paid_at")}),
    credits as ({_amounts("invoice.credited", "credit_id", "credited_at")})
"""

_SUMS = "sum(amount_minor) as source_minor, coalesce(sum(amount_minor) filter (is_left_out), 0) as left_out_minor"

INVOICE_TOTALS = f"""
with {_INVOICES},
source as (
    select 'issued' as amount, tenant_id, currency, sum(amount_minor) as source_minor, 0 as left_out_minor
    from invoices group by all
    union all
    select 'paid', tenant_id, currency, {_SUMS} from payments group by all
    union all
    select 'credited', tenant_id, currency, {_SUMS} from credits group by all
),
gold as (
    select 'issued' as amount, tenant_id, currency, sum(total_minor) as gold_minor
    from marts.fct_invoices group by all
    union all
    select 'paid', tenant_id, currency, sum(paid_minor) from marts.fct_invoices group by all
    union all
    select 'credited', tenant_id, currency, sum(credited_minor) from marts.fct_invoices group by all
)
select
    amount, tenant_id, currency,
    cast(coalesce(source_minor, 0) as bigint) as source_minor,
    cast(coalesce(left_out_minor, 0) as bigint) as left_out_minor,
    cast(coalesce(gold_minor, 0) as bigint) as gold_minor
from source full join gold using (amount, tenant_id, currency)
order by amount, tenant_id, currency
"""
"""What was invoiced, paid and credited, against the mart of invoices."""

_UP_TO_LAST_DAY = """
    select tenant_id, invoice_id, sum(amount_minor) as minor
    from {facts} where not is_left_out and happened_on <= $2 group by all
"""

COLLECTION = f"""
with {_INVOICES},
voids as (
    select tenant_id, invoice_id, min({_date(_moment("voided_at"))}) as voided_on
    from messages where event = 'invoice.voided' group by all
),
paid as ({_UP_TO_LAST_DAY.format(facts="payments")}),
credited as ({_UP_TO_LAST_DAY.format(facts="credits")}),
standing as (
    select
        invoices.tenant_id, invoices.currency, invoices.issued_on, invoices.due_on,
        coalesce(paid.minor, 0) as paid_minor,
        greatest(invoices.amount_minor - coalesce(credited.minor, 0), 0) as net_minor
    from invoices
    left join paid using (tenant_id, invoice_id)
    left join credited using (tenant_id, invoice_id)
    left join voids using (tenant_id, invoice_id)
    where invoices.issued_on <= $2 and (voids.voided_on is null or voids.voided_on > $2)
),
dated as (
    select *
    from (
        select 'due' as basis, due_on as basis_on, * from standing
        union all
        select 'issued' as basis, issued_on as basis_on, * from standing
    ) as by_basis
    where basis_on <= $2 and basis_on + interval 12 month > $2
),
sums as (
    select 'invoiced' as kind, basis, tenant_id, currency, sum(net_minor) as source_minor from dated group by all
    union all
    select 'collected', basis, tenant_id, currency, sum(least(paid_minor, net_minor)) from dated group by all
),
gold as (
    select 'invoiced' as kind, basis, tenant_id, currency, net_invoiced_minor as gold_minor
    from kpi.kpi_invoice_collection_rate where day = $2
    union all
    select 'collected', basis, tenant_id, currency, collected_minor
    from kpi.kpi_invoice_collection_rate where day = $2
)
select
    kind || '_by_' || basis || '_day' as amount, tenant_id, currency,
    cast(coalesce(source_minor, 0) as bigint) as source_minor,
    0 as left_out_minor,
    cast(coalesce(gold_minor, 0) as bigint) as gold_minor
from sums full join gold using (kind, basis, tenant_id, currency)
order by amount, tenant_id, currency
"""
"""What was invoiced and collected in the twelve months up to the last day of the run, as the facts up to it say."""

RECURRING = f"""
with {_messages(_SUBSCRIPTION_EVENTS)},
facts as (
    select *, {_date("happened_at")} as happened_on
    from (
        select
            tenant_id, event_at, message_id, currency, time_zone,
            properties ->> '$.subscription_id' as subscription_id,
            case event when 'subscription.started' then 1 when 'subscription.changed' then 2 else 3 end as place,
            cast(
                case event
                    when 'subscription.started' then properties ->> '$.started_at'
                    when 'subscription.changed' then properties ->> '$.changed_at'
                    else properties ->> '$.effective_at'
                end as timestamptz
            ) as happened_at,
            case event
                when 'subscription.started' then cast(properties ->> '$.mrr_minor' as bigint)
                when 'subscription.changed' then cast(properties ->> '$.mrr_after_minor' as bigint)
                else 0
            end as mrr_minor
        from messages where event like 'subscription.%'
    )
),
digits as ({" union all ".join(f"select {digit} as digit" for digit in range(10))}),
days as (
    select day
    from (
        select cast($1 as date) + (ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit) as day
        from digits as ones cross join digits as tens cross join digits as hundreds cross join digits as thousands
    ) as counted
    where day <= $2
),
standing as (
    select days.day, facts.tenant_id, facts.currency, facts.mrr_minor
    from days inner join facts on facts.happened_on <= days.day
    qualify row_number() over (
        partition by days.day, facts.tenant_id, facts.subscription_id
        order by facts.happened_at desc, facts.event_at desc, facts.place desc, facts.message_id desc
    ) = 1
),
source as (
    select day, tenant_id, currency, sum(mrr_minor) as mrr_minor
    from standing group by all
),
gold as (
    select day, tenant_id, currency, sum(mrr_minor) as mrr_minor
    from kpi.kpi_mrr where day between $1 and $2 group by all
)
select
    'mrr' as amount, day, tenant_id, currency,
    cast(coalesce(source.mrr_minor, 0) as bigint) as source_minor,
    0 as left_out_minor,
    cast(coalesce(gold.mrr_minor, 0) as bigint) as gold_minor
from source full join gold using (day, tenant_id, currency)
order by day, tenant_id, currency
"""
"""Monthly recurring revenue at the end of each day of the run (column `day`): of each subscription the last fact up to
then, and not the spans and steps that the models have."""
