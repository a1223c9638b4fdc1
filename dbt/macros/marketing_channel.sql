{#
  The plan's channel of a page view, from its campaign tags and its referrer. A campaign tag wins over the referrer; a tag that is
  itself a channel of the plan is taken as it is; a page that was reached from the same host is no touch of its own (NULL).
  Arguments are columns with text: utm medium, utm source, referrer address, page address.
#}
{% macro marketing_channel(medium, source, referrer, page_url) -%}
    {%- set social = "(^|[^a-z])(facebook|fb|instagram|linkedin|lnkd|twitter|t\\.co|x\\.com|tiktok|youtube|pinterest|reddit)([^a-z]|$)" -%}
    {%- set search = "(^|[^a-z])(google|bing|duckduckgo|ecosia|yahoo|startpage|qwant|baidu|yandex)([^a-z]|$)" -%}
    case
        when lower({{ medium }}) in (
            'organic_search', 'paid_search', 'paid_social', 'organic_social', 'email', 'referral', 'partner', 'direct', 'outbound',
            'event', 'other'
        ) then lower({{ medium }})
        when lower({{ medium }}) in ('cpc', 'ppc', 'paid', 'paidsocial', 'paid-social', 'social_paid', 'sem', 'paidsearch', 'paid-search', 'display', 'ads')
            then case
                when {{ matches("lower(coalesce(" ~ medium ~ ", ''))", "social") }} then 'paid_social'
                when {{ matches("lower(coalesce(" ~ source ~ ", ''))", social) }} then 'paid_social'
                when lower({{ medium }}) = 'display' then 'other'
                else 'paid_search'
            end
        when lower({{ medium }}) in ('social', 'social-network', 'social-media', 'social_media', 'sm') then 'organic_social'
        when lower({{ medium }}) in ('e-mail', 'newsletter', 'mail') then 'email'
        when lower({{ medium }}) in ('affiliate', 'affiliates', 'partners', 'partnership') then 'partner'
        when lower({{ medium }}) in ('tradeshow', 'trade_show', 'fair', 'webinar', 'offline', 'qr') then 'event'
        when lower({{ medium }}) in ('sales', 'outreach', 'cold', 'sdr', 'call') then 'outbound'
        when lower({{ medium }}) = 'organic' then 'organic_search'
        when lower({{ medium }}) = 'link' then 'referral'
        when coalesce({{ medium }}, '') not in ('', '(none)', '(not set)') then 'other'
        when lower({{ source }}) in ('newsletter', 'email') then 'email'
        when {{ matches("lower(coalesce(" ~ source ~ ", ''))", social) }} then 'organic_social'
        when {{ matches("lower(coalesce(" ~ source ~ ", ''))", search) }} then 'organic_search'
        when coalesce({{ source }}, '') not in ('', '(direct)', 'direct') then 'other'
        when coalesce({{ referrer }}, '') = '' then 'direct'
        when {{ host_of(referrer) }} = {{ host_of(page_url) }} then null
        when {{ matches(host_of(referrer), "(^|[.])mail[.]|outlook|gmail") }} then 'email'
        when {{ matches(host_of(referrer), social) }} then 'organic_social'
        when {{ matches(host_of(referrer), search) }} then 'organic_search'
        else 'referral'
    end
{%- endmacro %}

{# Host of an address, lower case, without a leading www; NULL when there is none. #}
{% macro host_of(url) -%}
    {{ return(adapter.dispatch("host_of", "analytics_platform")(url)) }}
{%- endmacro %}

{% macro default__host_of(url) -%}
    nullif(regexp_extract(lower({{ url }}), '^[a-z]+://(?:www[.])?([^/:?#]+)', 1), '')
{%- endmacro %}

{% macro snowflake__host_of(url) -%}
    regexp_substr(lower({{ url }}), '^[a-z]+://(www[.])?([^/:?#]+)', 1, 1, 'e', 2)
{%- endmacro %}

{% macro bigquery__host_of(url) -%}
    regexp_extract(lower({{ url }}), r'^[a-z]+://(?:www[.])?([^/:?#]+)')
{%- endmacro %}

{# True when the text contains a match of the pattern. #}
{% macro matches(text, pattern) -%}
    {{ return(adapter.dispatch("matches", "analytics_platform")(text, pattern)) }}
{%- endmacro %}

{% macro default__matches(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}

{% macro snowflake__matches(text, pattern) -%}
    regexp_instr({{ text }}, '{{ pattern | replace("\\", "\\\\") }}') > 0
{%- endmacro %}

{% macro bigquery__matches(text, pattern) -%}
    regexp_contains({{ text }}, r'{{ pattern }}')
{%- endmacro %}
