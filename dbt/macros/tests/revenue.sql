{#
  Every payment and credit note names an invoice that was issued, in its currency, and every void one that was issued: what does not
  is left out of the amounts.
  The invoice may simply be late, so this is declared a warning.
#}
{% test leaves_no_invoice_fact_out(model) %}
    {%- for event in ["stg_billing__invoice_paid", "stg_billing__invoice_credited", "stg_billing__invoice_voided"] %}
    select
        facts.tenant_id,
        facts.invoice_id,
        facts.message_id
    from {{ ref(event) }} as facts
    left join {{ model }} as invoices
        on
            facts.tenant_id = invoices.tenant_id
            and facts.invoice_id = invoices.invoice_id
            {%- if event != "stg_billing__invoice_voided" %}
            and facts.currency = invoices.currency
            {%- endif %}
    where invoices.invoice_id is null
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{% endtest %}
