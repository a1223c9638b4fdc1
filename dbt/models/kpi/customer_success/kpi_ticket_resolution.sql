-- Tickets whose resolution of the day still stood at its close. First resolutions are those of the same tickets.

{%- set measures = {
    "final_resolution_minutes": "resolution_us",
    "final_resolution_business_minutes": "resolution_business_us",
    "first_resolution_minutes": "first_resolution_us",
    "first_resolution_business_minutes": "first_resolution_business_us",
    "final_resolution_minutes_without_hold": "resolution_without_hold_us",
} %}

select
    resolved_on as day,
    tenant_id,
    priority,
    category,
    count(*) as resolved,
    {%- for measure, microseconds in measures.items() %}
    {{ quantile(minutes(microseconds), 0.5) }} as median_{{ measure }},
    {{ quantile(minutes(microseconds), 0.9) }} as p90_{{ measure }},
    -- Microseconds are added up as integers, so that the mean does not depend on the order of the rows.
    {{ minutes("sum(" ~ microseconds ~ ")") }} / count({{ microseconds }}) as mean_{{ measure }},
    {%- endfor %}
    {{ minutes("sum(on_hold_us)") }} / count(*) as mean_on_hold_minutes
from {{ ref("fct_ticket_resolutions") }}
where {{ built_days("resolved_on") }}
group by resolved_on, tenant_id, priority, category
