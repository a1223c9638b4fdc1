"""Each way of breaking the catalogue that we know of: its author must read file, field, what is wrong and the mend."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from catalog_copy import CatalogCopy

from analytics_platform.catalog import CatalogError, Problem, load_catalog


@dataclass(frozen=True)
class Broken:
    name: str
    file: str
    old: str
    new: str
    field: str
    what: str
    mend: str


BROKEN = [
    Broken(
        "a KPI that is not translated",
        "translations/nl.yaml",
        "  nps:\n    title: Net promoter score",
        "  nps_of_old:\n    title: Net promoter score",
        field="kpis.nps",
        what="is not translated",
        mend="add its text in this language",
    ),
    Broken(
        "a translated KPI that is none",
        "translations/nl.yaml",
        "  nps:\n    title: Net promoter score",
        "  nps_of_old:\n    title: Net promoter score",
        field="kpis.nps_of_old",
        what="'nps_of_old' is not one of the kpis",
        mend="write one of mrr, ",
    ),
    Broken(
        "a view that is not translated",
        "translations/nl.yaml",
        "      mrr_bridge:\n",
        "      bridge:\n",
        field="dashboards.finance.views.mrr_bridge",
        what="is not translated",
        mend="add its text in this language",
    ),
    Broken(
        "a translation without a definition",
        "translations/nl.yaml",
        "    definition: >-\n      100 x",
        "    explanation: >-\n      100 x",
        field="kpis.nps.explanation",
        what="is not a key that is known here",
        mend="remove it; known keys are title, description, definition",
    ),
    Broken(
        "a field without a PII class",
        "plan/billing.yaml",
        "payment_id: {type: id, required: true, pii: none,",
        "payment_id: {type: id, required: true,",
        field="events[invoice.paid].fields[payment_id].pii",
        what="is missing",
        mend="add `pii:` with its value",
    ),
    Broken(
        "a field without a description",
        "plan/support.yaml",
        ', description: "How it came in (email, phone, app, …)."',
        "",
        field="events[ticket.opened].fields[source].description",
        what="is missing",
        mend="add `description:` with its value",
    ),
    Broken(
        "an empty description",
        "plan/support.yaml",
        '"How it came in (email, phone, app, …)."',
        '" "',
        field="events[ticket.opened].fields[source].description",
        what="' ' says nothing",
        mend="write a sentence that a newcomer understands",
    ),
    Broken(
        "a PII class that does not exist",
        "plan/crm.yaml",
        "pii: sensitive",
        "pii: secret",
        field="events[nps.submitted].fields[comment].pii",
        what="'secret' is not known here",
        mend="write one of 'none', 'pseudonymous', 'personal' or 'sensitive'",
    ),
    Broken(
        "a field type that does not exist",
        "plan/crm.yaml",
        "respondent_ref: {type: ref",
        "respondent_ref: {type: uuid",
        field="events[nps.submitted].fields[respondent_ref].type",
        what="'uuid' is not known here",
        mend="write one of 'id', 'ref', 'string', 'integer', 'number', 'boolean', 'timestamp'",
    ),
    Broken(
        "a misspelt key",
        "plan/crm.yaml",
        "respondent_ref: {type: ref, required:",
        "respondent_ref: {type: ref, requred:",
        field="events[nps.submitted].fields[respondent_ref].requred",
        what="is not a key that is known here",
        mend="write `required` instead",
    ),
    Broken(
        "a key that resembles nothing",
        "plan/transport.yaml",
        "order: 3",
        "order: 3\nzzz: 1",
        field="zzz",
        what="is not a key that is known here",
        mend="remove it; known keys are name, order, title, description, owner, sla_tier,",
    ),
    Broken(
        "required as text",
        "plan/crm.yaml",
        "respondent_ref: {type: ref, required: true",
        'respondent_ref: {type: ref, required: "true"',
        field="events[nps.submitted].fields[respondent_ref].required",
        what="is neither true nor false",
        mend="write true or false",
    ),
    Broken(
        "a bound below the other",
        "plan/crm.yaml",
        "minimum: 0, maximum: 10",
        "minimum: 10, maximum: 0",
        field="events[nps.submitted].fields[score].maximum",
        what="is below the minimum",
        mend="write 10 or more",
    ),
    Broken(
        "a bound on a text",
        "plan/crm.yaml",
        "max_length: 2000",
        "minimum: 1",
        field="events[nps.submitted].fields[comment]",
        what="type string takes no minimum or maximum",
        mend="remove the bound or write type: integer",
    ),
    Broken(
        "a length of a number",
        "plan/crm.yaml",
        "minimum: 0, maximum: 10",
        "max_length: 10",
        field="events[nps.submitted].fields[score]",
        what="type integer takes no vocabulary and no max_length",
        mend="remove them or write type: string",
    ),
    Broken(
        "money that is not an integer",
        "plan/billing.yaml",
        "tax_minor: {type: integer",
        "tax_minor: {type: number",
        field="events[invoice.issued].fields[tax_minor]",
        what="is money by its name",
        mend="write type: integer and unit: minor, or another name",
    ),
    Broken(
        "minor units of what is no money",
        "plan/billing.yaml",
        "unit: days",
        "unit: minor",
        field="events[invoice.overdue].fields[days_overdue].unit",
        what="minor units of a field not named _minor",
        mend="end its name in _minor",
    ),
    Broken(
        "a unit that does not exist",
        "plan/billing.yaml",
        "unit: days",
        "unit: weeks",
        field="events[invoice.overdue].fields[days_overdue].unit",
        what="'weeks' is not known here",
        mend="write one of 'minor', 'ms', 'days', 'items', 'lines', 'points' or 'times'",
    ),
    Broken(
        "a vocabulary that does not exist",
        "plan/crm.yaml",
        "vocabulary: channel",
        "vocabulary: chanel",
        field="events[lead.qualified].fields[channel].vocabulary",
        what="'chanel' is not a vocabulary",
        mend="write one of equipment_status, channel, scan_exception_code, invoice_void_reason",
    ),
    Broken(
        "values beside the field instead of a vocabulary",
        "plan/billing.yaml",
        "vocabulary: invoice_void_reason",
        "enum: [error, dispute]",
        field="events[invoice.voided].fields[reason].enum",
        what="stands without the other",
        mend="declare the list in vocabularies.yaml and name it",
    ),
    Broken(
        "an event name that is no object.action",
        "plan/crm.yaml",
        "nps.submitted:",
        "NpsSubmitted:",
        field="events[NpsSubmitted].name",
        what="'NpsSubmitted' does not match [a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*",
        mend="write object.action in the past tense, such as invoice.paid",
    ),
    Broken(
        "a business time that is optional",
        "plan/billing.yaml",
        "occurred_at: issued_at",
        "occurred_at: project_id",
        field="events[invoice.issued].occurred_at",
        what="'project_id' is not a required timestamp of the event",
        mend="write one of issued_at, due_at",
    ),
    Broken(
        "a business time that may be a plain date",
        "plan/inventory.yaml",
        "feeds: [equipment_utilisation, channel_conversion]\n    occurred_at: null",
        "feeds: [equipment_utilisation, channel_conversion]\n    occurred_at: rental_start",
        field="events[booking.confirmed].occurred_at",
        what="'rental_start' is not a required timestamp of the event",
        mend="write null: the message's timestamp counts",
    ),
    Broken(
        "an event that feeds an unknown KPI",
        "plan/crm.yaml",
        "feeds: [nps]",
        "feeds: [netto]",
        field="events[nps.submitted].feeds",
        what="'netto' is not a KPI",
        mend="write one of mrr, invoice_collection_rate, equipment_utilisation,",
    ),
    Broken(
        "an event without an emitter",
        "plan/crm.yaml",
        "emitted_by: [frontend, backend]",
        "emitted_by: []",
        field="events[nps.submitted].emitted_by",
        what="has too few entries",
        mend="write at least 1",
    ),
    Broken(
        "an event in two streams",
        "plan/crm.yaml",
        "lead.converted:",
        "lead.created:",
        field="events[lead.created]",
        what="is declared in plan/marketing.yaml too",
        mend="keep it in the stream that emits it",
    ),
    Broken(
        "two streams in one place",
        "plan/marketing.yaml",
        "order: 4",
        "order: 5",
        field="order",
        what="5 is that of crm too",
        mend="write another number",
    ),
    Broken(
        "a stream in a file of another name",
        "plan/crm.yaml",
        "name: crm",
        "name: sales",
        field="name",
        what="'sales' stands in a file of another name",
        mend="write crm, or rename the file",
    ),
    Broken(
        "a stream of an unknown owner",
        "plan/crm.yaml",
        "owner: growth",
        "owner: sales",
        field="owner",
        what="'sales' is not an owner",
        mend="write one of finance, operations, customer_success, growth,",
    ),
    Broken(
        "a stream of an unknown SLA tier",
        "plan/crm.yaml",
        "sla_tier: silver",
        "sla_tier: platinum",
        field="sla_tier",
        what="'platinum' is not an SLA tier",
        mend="write one of gold, silver, bronze",
    ),
    Broken(
        "a stream of an unknown retention class",
        "plan/crm.yaml",
        "retention_class: customer",
        "retention_class: forever",
        field="retention_class",
        what="'forever' is not a retention class",
        mend="write one of fiscal, operations, customer, product, technical",
    ),
    Broken(
        "a KPI of an unknown owner",
        "kpis.yaml",
        "owner: customer_success",
        "owner: support",
        field="nps.owner",
        what="'support' is not an owner",
        mend="write one of finance, operations, customer_success, growth,",
    ),
    Broken(
        "a KPI on an unknown dashboard",
        "kpis.yaml",
        "dashboard: customer_health",
        "dashboard: health",
        field="nps.dashboard",
        what="'health' is not a dashboard",
        mend="write one of executive_overview, finance, operations, customer_health, growth",
    ),
    Broken(
        "a KPI that its dashboard does not show",
        "kpis.yaml",
        "dashboard: customer_health",
        "dashboard: growth",
        field="nps.dashboard",
        what="growth does not show the KPI",
        mend="add nps to growth.kpis in dashboards.yaml or name another dashboard",
    ),
    Broken(
        "a KPI whose table is not registered",
        "kpis.yaml",
        "table: kpi.kpi_nps",
        "table: kpi.kpi_promoters",
        field="nps.table",
        what="'kpi.kpi_promoters' is not a registered dataset",
        mend="register it in datasets.yaml or mend its name",
    ),
    Broken(
        "a headline that no extract publishes",
        "kpis.yaml",
        "numerator: [on_time]",
        "numerator: [punctual]",
        field="on_time_departures.headline",
        what="no extract of kpi.kpi_on_time_departures has day, planned, punctual, tenant_id,",
        mend="add the columns to the extract in dashboards.yaml",
    ),
    Broken(
        "a headline over amounts in several currencies",
        "kpis.yaml",
        "numerator: [collected_reporting_minor]",
        "numerator: [collected_minor]",
        field="invoice_collection_rate.headline",
        what="collected_minor is in each tenant's own currency, which cannot be added over tenants",
        mend="write collected_reporting_minor",
    ),
    Broken(
        "a ratio without a denominator",
        "kpis.yaml",
        "numerator: [on_time], denominator: [planned],",
        "numerator: [on_time],",
        field="on_time_departures.headline.denominator",
        what="a ratio was given 0 columns to divide by",
        mend="name the columns of the denominator for a ratio, none for a sum or a median",
    ),
    Broken(
        "a median without its table",
        "kpis.yaml",
        "    table: marts.fct_ticket_resolutions",
        "    # table: marts.fct_ticket_resolutions",
        field="ticket_resolution.headline",
        what="a median is taken over one column of a fact table",
        mend="write one numerator and the table",
    ),
    Broken(
        "a direction that does not exist",
        "kpis.yaml",
        "direction: down",
        "direction: sideways",
        field="ticket_resolution.direction",
        what="'sideways' is not known here",
        mend="write one of 'up' or 'down'",
    ),
    Broken(
        "a target that is text",
        "kpis.yaml",
        "target: 95",
        "target: high",
        field="invoice_collection_rate.target",
        what="is not a number",
        mend="write a number without quotes",
    ),
    Broken(
        "a target that is not finite",
        "kpis.yaml",
        "target: 95",
        'target: !!float ".inf"',
        field="invoice_collection_rate.target",
        what="is not a finite number",
        mend="write a number such as 95",
    ),
    Broken(
        "a dashboard of an unknown KPI",
        "dashboards.yaml",
        "kpis: [nps, ticket_resolution]",
        "kpis: [nps, ticket_resolution, csat]",
        field="customer_health.kpis",
        what="'csat' is not a KPI",
        mend="write one of mrr, invoice_collection_rate, equipment_utilisation,",
    ),
    Broken(
        "a view of a KPI that the dashboard does not show",
        "dashboards.yaml",
        "      kpi: nps\n",
        "      kpi: mrr\n",
        field="customer_health.views[nps_answers].kpi",
        what="'mrr' is no KPI of the dashboard",
        mend="write one of nps, ticket_resolution",
    ),
    Broken(
        "a view over another dashboard's extract",
        "dashboards.yaml",
        "      extract: nps\n",
        "      extract: mrr\n",
        field="customer_health.views[nps_answers].extract",
        what="'mrr' is no extract of the dashboard",
        mend="write one of nps, ticket_resolution, tickets",
    ),
    Broken(
        "a view of a column that its extract has not",
        "dashboards.yaml",
        "promoters: {columns: [promoters], taken: last}",
        "promoters: {columns: [fans], taken: last}",
        field="customer_health.views[nps_answers]",
        what="nps has no column fans",
        mend="add it to the extract or take it out of the view",
    ),
    Broken(
        "a heatmap of one axis",
        "dashboards.yaml",
        "        - {name: cohort_month, newest: 18}\n",
        "",
        field="finance.views[customer_cohorts].axes",
        what="a heatmap was given 1 axes",
        mend="write 2",
    ),
    Broken(
        "a bridge that does not end",
        "dashboards.yaml",
        "closing: {columns: [mrr_minor], taken: last}",
        "closing: {columns: [mrr_minor]}",
        field="finance.views[mrr_bridge].measures",
        what="a bridge takes its measures as first, sum, sum, sum, sum, sum, sum, sum",
        mend="write one taken first, movements as sums, and one taken last",
    ),
    Broken(
        "a view that mixes a stock and a flow",
        "dashboards.yaml",
        "passives: {columns: [passives], taken: last}",
        "passives: {columns: [passives]}",
        field="customer_health.views[nps_answers].measures",
        what="takes its measures as last, sum, last",
        mend="take all as sums (a flow) or all from the last day (a stock)",
    ),
    Broken(
        "a finer table whose drill-downs nobody publishes",
        "kpis.yaml",
        "drill_downs: [customer_ref]",
        "drill_downs: [customer_name]",
        field="mrr.detail",
        what="no extract of kpi.kpi_mrr_by_customer has",
        mend="add the columns to an extract in dashboards.yaml",
    ),
    Broken(
        "a filter named after a drill-down that is none",
        "kpis.yaml",
        "filtered_as: {category: ticket_category}",
        "filtered_as: {colour: ticket_category}",
        field="ticket_resolution.filtered_as",
        what="'colour' is not a drill-down of the KPI",
        mend="write one of tenant_id, priority, category",
    ),
    Broken(
        "a dashboard that shows a KPI twice",
        "dashboards.yaml",
        "kpis: [nps, ticket_resolution]",
        "kpis: [nps, ticket_resolution, nps]",
        field="customer_health.kpis",
        what="nps is named twice",
        mend="keep one of the two",
    ),
    Broken(
        "a dashboard of an unknown owner",
        "dashboards.yaml",
        "  owner: growth\n  kpis",
        "  owner: sales\n  kpis",
        field="growth.owner",
        what="'sales' is not an owner",
        mend="write one of finance, operations, customer_success, growth,",
    ),
    Broken(
        "an extract of an unknown owner",
        "dashboards.yaml",
        "      owner: growth\n",
        "      owner: sales\n",
        field="growth.extracts[qualified_leads].owner",
        what="'sales' is not an owner",
        mend="write one of finance, operations, customer_success, growth,",
    ),
    Broken(
        "an extract from an unregistered table",
        "dashboards.yaml",
        "source: kpi.kpi_nps",
        "source: kpi.kpi_promoters",
        field="customer_health.extracts[nps].source",
        what="'kpi.kpi_promoters' is not a registered dataset",
        mend="register it in datasets.yaml or mend its name",
    ),
    Broken(
        "an extract with more PII than its policy",
        "dashboards.yaml",
        "ticket_id: {type: string, pii: none",
        "ticket_id: {type: string, pii: pseudonymous",
        field="customer_health.extracts[tickets].columns[ticket_id].pii",
        what="is pseudonymous, but pii_policy is none",
        mend="leave the column out or raise the policy with its owner's consent",
    ),
    Broken(
        "an extract without its day",
        "dashboards.yaml",
        "day_column: resolved_on",
        "day_column: closed_on",
        field="customer_health.extracts[tickets].day_column",
        what="there is no column 'closed_on'",
        mend="declare it under columns: resolved_on, tenant_id, ticket_id, priority,",
    ),
    Broken(
        "an extract without a row budget",
        "dashboards.yaml",
        "      row_budget: 50000\n",
        "",
        field="finance.extracts[mrr].row_budget",
        what="is missing",
        mend="add `row_budget:` with its value",
    ),
    Broken(
        "a row budget of zero",
        "dashboards.yaml",
        "row_budget: 50000",
        "row_budget: 0",
        field="finance.extracts[mrr].row_budget",
        what="is too small",
        mend="write 1 or more",
    ),
    Broken(
        "an SLA deadline that YAML 1.1 would read as a number",
        "sla_tiers.yaml",
        'deadline: "06:00"',
        "deadline: 26:00",
        field="gold.deadline",
        what="'26:00' does not match ([01][0-9]|2[0-3]):[0-5][0-9]",
        mend='write a time of day between quotes, such as "09:00"',
    ),
    Broken(
        "a severity that does not exist",
        "sla_tiers.yaml",
        "severity: info",
        "severity: meh",
        field="bronze.severity",
        what="'meh' is not known here",
        mend="write one of 'critical', 'warning' or 'info'",
    ),
    Broken(
        "a retention class without max_keep",
        "retention_classes.yaml",
        "  max_keep: {months: 25}\n",
        "",
        field="customer.max_keep",
        what="is missing",
        mend="add `max_keep:` with its value",
    ),
    Broken(
        "a retention class that must keep longer than it may",
        "retention_classes.yaml",
        "max_keep: {years: 7, months: 3}",
        "max_keep: {years: 6, months: 11}",
        field="fiscal.max_keep",
        what="6 years 11 months is shorter than min_keep, 7 years",
        mend="write 7 years or longer",
    ),
    Broken(
        "a retention class that keeps nothing",
        "retention_classes.yaml",
        "max_keep: {days: 90}",
        "max_keep: {}",
        field="technical.max_keep",
        what="keeps nothing",
        mend="write how long the data may be kept, such as {months: 25}",
    ),
    Broken(
        "a negative duration",
        "retention_classes.yaml",
        "{days: 90}",
        "{days: -90}",
        field="technical.max_keep.days",
        what="is too small",
        mend="write 0 or more",
    ),
    Broken(
        "a role that sees what does not exist",
        "access_roles.yaml",
        "marts.fct_tickets\n",
        "marts.fct_ticket\n",
        field="customer_success.datasets",
        what="'marts.fct_ticket' covers no dataset",
        mend="mend the name or register the dataset in datasets.yaml",
    ),
    Broken(
        "a role without datasets",
        "access_roles.yaml",
        'datasets: ["*"]',
        "datasets: []",
        field="admin.datasets",
        what="has too few entries",
        mend="write at least 1",
    ),
    Broken(
        "a dataset of an unknown owner",
        "datasets.yaml",
        "owner: data_platform",
        "owner: nobody",
        field="landing.owner",
        what="'nobody' is not an owner",
        mend="write one of finance, operations, customer_success, growth,",
    ),
    Broken(
        "a dataset of an unknown retention class",
        "datasets.yaml",
        "retention_class: technical",
        "retention_class: temp",
        field="landing.retention_class",
        what="'temp' is not a retention class",
        mend="write one of fiscal, operations, customer, product, technical",
    ),
    Broken(
        "a dataset of an unknown SLA tier",
        "datasets.yaml",
        "sla_tier: gold",
        "sla_tier: platinum",
        field="raw.billing.sla_tier",
        what="'platinum' is not an SLA tier",
        mend="write one of gold, silver, bronze",
    ),
    Broken(
        "a raw dataset that disagrees with the plan",
        "datasets.yaml",
        'support stream, one row each."\n  owner: customer_success',
        'support stream, one row each."\n  owner: growth',
        field="raw.support.owner",
        what="'growth', but plan/support.yaml says 'customer_success'",
        mend="write customer_success or mend the plan",
    ),
    Broken(
        "a raw stream that is not registered",
        "datasets.yaml",
        "raw.support:",
        "raw.helpdesk:",
        field="raw.support",
        what="is not registered",
        mend="add it with owner, class and PII columns",
    ),
    Broken(
        "an extract that is registered but not declared",
        "datasets.yaml",
        "extracts.growth.qualified_leads:",
        "extracts.growth.leads:",
        field="extracts.growth.qualified_leads",
        what="is not registered",
        mend="add it with owner, class and PII columns",
    ),
    Broken(
        "a reason for a schema version that nobody declares",
        "dashboards.yaml",
        "      source: kpi.kpi_nps\n",
        '      source: kpi.kpi_nps\n      changes: {99: {kind: breaking, why: "Net of credits."}}\n',
        field="customer_health.extracts[nps].changes.99",
        what="schema_version is 1",
        mend="raise it, or name a version between 2 and that one",
    ),
    Broken(
        "an address of a report that no browser opens",
        "dashboards.yaml",
        "  title: Finance\n",
        "  title: Finance\n  urls: {power_bi: finance.pbip}\n",
        field="finance.urls.power_bi",
        what="'finance.pbip' does not match",
        mend="write an address such as https://app.powerbi.com/",
    ),
    Broken(
        "an extract dataset that hides PII",
        "datasets.yaml",
        "extracts.growth.qualified_leads:\n",
        "extracts.growth.qualified_leads:\n  pii_columns: [campaign]\n",
        field="extracts.growth.qualified_leads.pii_columns",
        what="['campaign'], but dashboards.yaml classes [] as PII",
        mend="write []",
    ),
    Broken(
        "subjects that are not PII",
        "datasets.yaml",
        "  pii_columns: [lead_id]\n",
        "",
        field="marts.fct_leads.pii_columns",
        what="lead_id would tell a person but are not listed",
        mend="add them here",
    ),
    Broken(
        "a bad time zone",
        "tenants/albion-stage.yaml",
        "Europe/London",
        "Europe/Londen",
        field="time_zone",
        what="'Europe/Londen' is not a time zone",
        mend="write an IANA name such as Europe/Amsterdam",
    ),
    Broken(
        "a time zone that is a folder",
        "tenants/albion-stage.yaml",
        "Europe/London",
        "Europe",
        field="time_zone",
        what="'Europe' is not a time zone",
        mend="write an IANA name such as Europe/Amsterdam",
    ),
    Broken(
        "a time zone that leaves the database",
        "tenants/albion-stage.yaml",
        "Europe/London",
        "../../etc/passwd",
        field="time_zone",
        what="'../../etc/passwd' is not a time zone",
        mend="write an IANA name such as Europe/Amsterdam",
    ),
    Broken(
        "a bad currency",
        "tenants/albion-stage.yaml",
        "currency: GBP",
        "currency: POUND",
        field="currency",
        what="'POUND' is not a currency",
        mend="write an ISO 4217 code such as EUR or GBP",
    ),
    Broken(
        "a day that is not in every year",
        "tenants/albion-stage.yaml",
        '"03-31"',
        '"02-29"',
        field="financial_year_end",
        what="'02-29' is not a day of every year",
        mend='write "MM-DD" such as "12-31" (for the end of February "02-28")',
    ),
    Broken(
        "a country that YAML 1.1 would read as false",
        "tenants/albion-stage.yaml",
        "country: GB",
        "country: no",
        field="country",
        what="'no' does not match [A-Z]{2}",
        mend="write an ISO 3166-1 alpha-2 code such as NL",
    ),
    Broken(
        "a weekday that does not exist",
        "tenants/albion-stage.yaml",
        "  5: {opens",
        "  8: {opens",
        field="business_hours.8",
        what="is too large",
        mend="write 7 or less",
    ),
    Broken(
        "hours that close before they open",
        "tenants/albion-stage.yaml",
        '5: {opens: "09:00", closes: "17:30"}',
        '5: {opens: "17:30", closes: "09:00"}',
        field="business_hours.5",
        what="opens at 17:30 but closes at 09:00",
        mend="write a closing time after the opening time of the same day",
    ),
    Broken(
        "hours without quotes",
        "tenants/albion-stage.yaml",
        '5: {opens: "09:00", closes: "17:30"}',
        '5: {opens: 9, closes: "17:30"}',
        field="business_hours.5.opens",
        what="is not text",
        mend="write text, between quotes where it looks like a number or a date",
    ),
    Broken(
        "an unknown holiday calendar",
        "tenants/albion-stage.yaml",
        "holiday_calendar: england_and_wales",
        "holiday_calendar: scotland",
        field="holiday_calendar",
        what="'scotland' is not a holiday calendar",
        mend="write one of netherlands, england_and_wales",
    ),
    Broken(
        "a plain write key",
        "tenants/albion-stage.yaml",
        "    sha256: 22de11942ddd7122d6fee69394922d14d03759fa83035f1a1aa57db92bfd092b",
        "    sha256: demo-albion-stage-server",
        field="write_keys[server].sha256",
        what="is not a SHA-256",
        mend="write the key's SHA-256 in 64 lower-case hex digits, never the key itself",
    ),
    Broken(
        "a tenant in a file of another name",
        "tenants/albion-stage.yaml",
        "tenant_id: albion-stage",
        "tenant_id: albion",
        field="tenant_id",
        what="'albion' stands in a file of another name",
        mend="write albion-stage, or rename the file",
    ),
    Broken(
        "the reserved tenant id",
        "tenants/albion-stage.yaml",
        "tenant_id: albion-stage",
        "tenant_id: all",
        field="tenant_id",
        what="'all' is reserved for the sum over tenants",
        mend="choose another tenant id",
    ),
    Broken(
        "a tenant id with capitals",
        "tenants/albion-stage.yaml",
        "tenant_id: albion-stage",
        "tenant_id: Albion",
        field="tenant_id",
        what="'Albion' does not match [a-z0-9][a-z0-9_-]{0,62}",
        mend="write 1 to 63 lower-case letters, digits, - and _",
    ),
    Broken(
        "a holiday that is no day",
        "holiday_calendars.yaml",
        "2025-04-26:",
        "2025-04-31:",
        field="netherlands.days.2025-04-31",
        what="'2025-04-31' is not a day (day is out of range for month)",
        mend="write a day of the calendar",
    ),
    Broken(
        "a holiday that is no date",
        "holiday_calendars.yaml",
        "2025-04-26:",
        "26 April:",
        field="netherlands.days.26 April",
        what="'26 April' is not a day",
        mend="write YYYY-MM-DD, such as 2026-12-25",
    ),
    Broken(
        "a value named twice in a vocabulary",
        "vocabularies.yaml",
        "available, reserved",
        "available, available",
        field="equipment_status.values",
        what="is empty or names a value twice",
        mend="write each value once",
    ),
    Broken(
        "a name that is said twice",
        "owners.yaml",
        "growth:\n",
        "growth:\n  name: growth\n",
        field="growth.name",
        what="is said by the key already",
        mend="remove it",
    ),
    Broken(
        "an owner that is no mapping",
        "owners.yaml",
        "growth:\n",
        "sales: Jan\ngrowth:\n",
        field="sales",
        what="is not a mapping",
        mend="write `key: value` lines",
    ),
    Broken(
        "a name that is a number",
        "owners.yaml",
        "growth:\n",
        "7:\n",
        field="7",
        what="is not a name",
        mend="write text, between quotes where it looks otherwise",
    ),
    Broken(
        "a name in capitals",
        "owners.yaml",
        "product_engineering:\n",
        "Product:\n",
        field="Product.name",
        what="'Product' does not match [a-z][a-z0-9_]{0,62}",
        mend="write a name of lower-case letters, digits and _ (snake_case)",
    ),
    Broken(
        "a Slack channel without its sign",
        "owners.yaml",
        '"#data-growth"',
        '"data-growth"',
        field="growth.slack_channel",
        what="'data-growth' does not match #[a-z0-9_-]{1,79}",
        mend='write a channel such as "#data-finance"',
    ),
    Broken(
        "an anomaly rule with an impossible threshold",
        "kpis.yaml",
        "anomalies:\n    severity: critical\n",
        "anomalies:\n    severity: critical\n    seasonal: {threshold: 0}\n",
        field="mrr.anomalies.seasonal.threshold",
        what="is too small",
        mend="write more than 0.0",
    ),
    Broken(
        "limits that leave nothing between them",
        "kpis.yaml",
        "limits: {lower: -100, upper: 100}",
        "limits: {lower: 100, upper: -100}",
        field="nps.anomalies.limits.lower",
        what="100.0 leaves nothing below -100.0",
        mend="write a smaller number",
    ),
    Broken(
        "a series of a column that is no drill-down",
        "kpis.yaml",
        "sub_series: [category]",
        "sub_series: [tenant_id]",
        field="equipment_utilisation.anomalies.sub_series",
        what="'tenant_id' is not a drill-down of the KPI",
        mend="write one of category, warehouse_id",
    ),
    Broken(
        "an alert on a target that the KPI does not have",
        "kpis.yaml",
        "none_for_a_week: {kind: limits, lower: 1,",
        "none_for_a_week: {kind: target,",
        field="qualified_leads.alerts[none_for_a_week]",
        what="there is no target to miss",
        mend="write a target or another kind",
    ),
    Broken(
        "an alert rule with the parts of another kind",
        "kpis.yaml",
        "sold_out: {kind: limits, upper: 90,",
        "sold_out: {kind: change, upper: 90,",
        field="equipment_utilisation.alerts[sold_out]",
        what="a change rule has no limits",
        mend="remove lower and upper, or write kind: limits",
    ),
    Broken(
        "an alert for nobody that is known",
        "kpis.yaml",
        "collapsed: {kind: limits, lower: 70, severity: critical}",
        "collapsed: {kind: limits, lower: 70, severity: critical, owner: nobody}",
        field="invoice_collection_rate.alerts[collapsed].owner",
        what="'nobody' is not an owner",
        mend="write one of finance, operations, customer_success, growth, product_engineering, data_platform",
    ),
    Broken(
        "a key twice",
        "kpis.yaml",
        "qualified_leads:\n",
        "nps:\n",
        field="nps",
        what="is written twice, again in line 158",
        mend="keep one of the two",
    ),
    Broken(
        "broken YAML",
        "kpis.yaml",
        "domain: growth",
        "domain: [growth",
        field="(whole file)",
        what="is not YAML (did not find expected ',' or ']')",
        mend="mend the syntax at line 161, column 8",
    ),
    Broken(
        "a tab",
        "owners.yaml",
        "  title: Growth",
        "	title: Growth",
        field="(whole file)",
        what="is not YAML (found character that cannot start any token)",
        mend="mend the syntax at line 15, column 1",
    ),
    Broken(
        "a list for a mapping",
        "plan/crm.yaml",
        "events:",
        "events: []\nothers:",
        field="events",
        what="is not a mapping",
        mend="write `key: value` lines",
    ),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_broken_catalogue_says_file_field_and_mend(broken: Broken, catalog_copy: CatalogCopy) -> None:
    catalog_copy.replace(broken.file, broken.old, broken.new)

    with pytest.raises(CatalogError) as caught:
        catalog_copy.load()

    told = [problem for problem in caught.value.problems if says(problem, broken)]
    assert len(told) == 1, str(caught.value)
    assert f"{broken.file}: {broken.field}: {told[0].what}; {told[0].mend}" in str(caught.value).splitlines()


def says(problem: Problem, broken: Broken) -> bool:
    return (
        (problem.file, problem.field) == (broken.file, broken.field)
        and problem.what.startswith(broken.what)
        and problem.mend.startswith(broken.mend)
    )


def problems_of(copy: CatalogCopy, tenants_file: Path | None = None) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        load_catalog(tenants_file, root=copy.root)
    return str(caught.value).splitlines()


def test_problems_of_several_files_are_told_at_once(catalog_copy: CatalogCopy) -> None:
    catalog_copy.replace("owners.yaml", "title: Growth", "titel: Growth")
    catalog_copy.replace("plan/crm.yaml", "pii: sensitive", "pii: secret")
    catalog_copy.replace("plan/crm.yaml", "minimum: 0, maximum: 10", "minimum: 0.5, maximum: 10")

    assert [problem.split(": ")[0] for problem in problems_of(catalog_copy)] == [
        "plan/crm.yaml",
        "plan/crm.yaml",
        "owners.yaml",
    ]


def test_a_file_that_does_not_load_causes_no_problems_besides_its_own(catalog_copy: CatalogCopy) -> None:
    catalog_copy.replace("vocabularies.yaml", "channel:\n", "channel: [\n")

    assert len(problems_of(catalog_copy)) == 1


@pytest.mark.parametrize("file", ["kpis.yaml", "vocabularies.yaml", "common_fields.yaml", "datasets.yaml"])
def test_a_missing_file_is_named(catalog_copy: CatalogCopy, file: str) -> None:
    (catalog_copy.root / file).unlink()

    assert problems_of(catalog_copy) == [
        f"{file}: (whole file): cannot be read (No such file or directory); put a readable file there"
    ]


def test_an_empty_file_is_no_mapping(catalog_copy: CatalogCopy) -> None:
    (catalog_copy.root / "owners.yaml").write_text("")

    assert problems_of(catalog_copy) == ["owners.yaml: (whole file): is not a mapping; write `key: value` lines"]


def test_a_file_that_is_not_utf_8_is_not_yaml(catalog_copy: CatalogCopy) -> None:
    (catalog_copy.root / "owners.yaml").write_bytes(b"growth:\n  title: Gr\xf6wth\n")

    (problem,) = problems_of(catalog_copy)
    assert problem.startswith("owners.yaml: (whole file): is not YAML (")


def test_a_file_that_would_not_be_read_is_a_problem(catalog_copy: CatalogCopy) -> None:
    shutil.copy(catalog_copy.root / "plan/crm.yaml", catalog_copy.root / "plan/loyalty.yml")

    assert problems_of(catalog_copy) == [
        "plan/loyalty.yml: (whole file): is not read; give it the suffix .yaml or move it away"
    ]


def test_a_folder_without_streams_is_a_problem(catalog_copy: CatalogCopy) -> None:
    shutil.rmtree(catalog_copy.root / "plan")

    assert problems_of(catalog_copy) == ["plan/: (whole folder): is empty or not there; put files there"]


def test_a_write_key_that_was_pasted_in_plain_is_not_repeated_in_the_message(catalog_copy: CatalogCopy) -> None:
    path = catalog_copy.root / "tenants/albion-stage.yaml"
    hashed = next(line for line in path.read_text().splitlines() if "sha256" in line)
    catalog_copy.replace("tenants/albion-stage.yaml", hashed, "    sha256: the-key-itself")

    assert "the-key-itself" not in "\n".join(problems_of(catalog_copy))


def a_tenant(tenant_id: str, sha256: str) -> str:
    return (
        f"tenant_id: {tenant_id}, name: A tenant, country: NL, time_zone: Europe/Amsterdam, currency: EUR, "
        'financial_year_end: "12-31", business_hours: {1: {opens: "09:00", closes: "17:00"}}, '
        f"write_keys: {{server: {{sha256: {sha256}, kind: server, site: product}}}}"
    )


def test_more_tenants_come_as_a_list_or_by_id(catalog_copy: CatalogCopy, tmp_path: Path) -> None:
    one, two = a_tenant("more-1", "a" * 64), a_tenant("more-2", "b" * 64)
    as_list = tmp_path / "list.yaml"
    as_list.write_text(f"- {{{one}}}\n- {{{two}}}\n")
    by_id = tmp_path / "by_id.yaml"
    by_id.write_text("".join(f"{t.split(',')[0].split(': ')[1]}: {{{t.split(', ', 1)[1]}}}\n" for t in (one, two)))

    from_list, from_mapping = load_catalog(as_list), load_catalog(by_id)

    assert from_list == from_mapping
    assert list(from_list.tenants)[-2:] == ["more-1", "more-2"]


def test_a_tenant_is_declared_once_over_all_files(catalog_copy: CatalogCopy, tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text(f"- {{{a_tenant('albion-stage', 'a' * 64)}}}\n")

    (problem,) = problems_of(catalog_copy, more)
    assert problem.startswith(f"{more}: [0].tenant_id: 'albion-stage' is the id of another tenant; write another id")


def test_a_write_key_has_one_tenant_over_all_files(catalog_copy: CatalogCopy, tmp_path: Path) -> None:
    used = load_catalog().tenants["albion-stage"].write_keys[0].sha256
    more = tmp_path / "more.yaml"
    more.write_text(f"- {{{a_tenant('more', used)}}}\n")

    assert problems_of(catalog_copy, more) == [
        f"{more}: [0].write_keys[server].sha256: is the key of albion-stage (server) too; issue a key of its own"
    ]


def test_a_tenants_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nowhere\.yaml: \(whole file\): cannot be read"):
        load_catalog(tmp_path / "nowhere.yaml")
