{% set page_fields = ["url", "path", "referrer", "title"] %}
{% set context_fields = [
    "page.url", "page.path", "page.referrer", "page.title", "campaign.source", "campaign.medium", "campaign.name", "campaign.term",
    "campaign.content"
] %}

with calls as (
    {%- for stream in ["marketing", "product"] %}
    select
        '{{ stream }}' as stream,
        day,
        tenant_id,
        project_id,
        message_id,
        anonymous_id,
        user_id,
        {{ utc_timestamp("event_at") }} as event_at,
        {{ utc_timestamp("received_at") }} as received_at,
        {{ utc_timestamp("occurred_at") }} as occurred_at,
        properties,
        context
    from {{ source("raw", stream) }}
    where type = 'page' and {{ built_days() }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

parsed as (
    select
        *,
        {{ json_values("properties", page_fields) }} as property_values,
        {{ json_values("context", context_fields) }} as context_values
    from calls
),

pages as (
    select
        *,
        coalesce(
            {{ json_value("property_values", page_fields, "url") }}, {{ json_value("context_values", context_fields, "page.url") }}
        ) as url,
        coalesce(
            {{ json_value("property_values", page_fields, "path") }}, {{ json_value("context_values", context_fields, "page.path") }}
        ) as url_path,
        coalesce(
            {{ json_value("property_values", page_fields, "referrer") }},
            {{ json_value("context_values", context_fields, "page.referrer") }}
        ) as referrer,
        {{ json_value("context_values", context_fields, "campaign.source") }} as utm_source,
        {{ json_value("context_values", context_fields, "campaign.medium") }} as utm_medium,
        {{ json_value("context_values", context_fields, "campaign.name") }} as utm_campaign,
        {{ json_value("context_values", context_fields, "campaign.term") }} as utm_term,
        {{ json_value("context_values", context_fields, "campaign.content") }} as utm_content
    from parsed
)

select
    pages.day,
    pages.tenant_id,
    pages.project_id,
    pages.message_id,
    pages.event_at,
    pages.received_at,
    pages.occurred_at,
    {{ business_date("pages.occurred_at", "tenants.time_zone") }} as occurred_on,
    pages.stream,
    pages.anonymous_id,
    pages.user_id,
    {{ host_of("pages.url") }} as url_host,
    pages.url_path,
    {{ host_of("pages.referrer") }} as referrer_host,
    pages.utm_source,
    pages.utm_medium,
    pages.utm_campaign,
    pages.utm_term,
    pages.utm_content,
    {{ marketing_channel("pages.utm_medium", "pages.utm_source", "pages.referrer", "pages.url") }} as channel
from pages
left join {{ source("raw", "tenants") }} as tenants
    on pages.tenant_id = tenants.tenant_id
