with qualified as (
    select
        qualified_on as day,
        tenant_id,
        qualified_channel as channel,
        -- A campaign that became known after the day is not known on it.
        case when created_on <= qualified_on then campaign end as campaign,
        -- A decimal, so that its sum does not depend on the order of the rows; a score beyond any scale is none.
        case when abs(score) < 1000000000 then {{ to_decimal("score", 18, 6) }} end as score,
        est_value_reporting_minor
    from {{ ref("fct_leads") }}
    where {{ built_days("qualified_on") }}
)

select
    day,
    tenant_id,
    channel,
    campaign,
    count(*) as qualified_leads,
    cast(coalesce(sum(est_value_reporting_minor), 0) as bigint) as est_value_reporting_minor,
    count(est_value_reporting_minor) as estimated_leads,
    count(score) as scored_leads,
    {{ to_decimal("coalesce(sum(score), 0)", 38, 6) }} as score_sum
from qualified
group by day, tenant_id, channel, campaign
