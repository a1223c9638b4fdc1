with qualified as (
    select
        qualified_on as day,
        tenant_id,
        qualified_channel as channel,
        -- A campaign that became known after the day is not known on it.
        case when created_on <= qualified_on then campaign end as campaign,
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
    cast(coalesce(sum(est_value_reporting_minor), 0) as bigint) as est_value_reporting_minor
from qualified
group by day, tenant_id, channel, campaign
