-- Leads by the month of their creation and the channel that it states, followed month by month. A month that was not
-- built to its end is NULL.
{{ config(materialized="table", partition_by=none) }}

with months as (
    select
        month,
        {{ month_number("month") }} as month_no,
        max(month_ends_on) as month_ends_on,
        max(month_ends_on) <= (select max(day) from {{ ref("dim_days") }}) as has_ended
    from {{ ref("dim_days") }}
    group by month
),

leads as (
    select
        tenant_id,
        channel,
        {{ month_of("created_on") }} as cohort_month,
        qualified_on,
        converted_on,
        coalesce(converted_value_reporting_minor, 0) as converted_value_minor
    from {{ ref("fct_leads") }}
    where created_on is not null
),

followed as (
    select
        l.*,
        m.month_no - {{ month_number("l.cohort_month") }} as month_number,
        m.has_ended,
        coalesce(l.qualified_on <= m.month_ends_on, false) as is_qualified,
        coalesce(l.converted_on <= m.month_ends_on, false) as is_converted
    from leads as l
    inner join months as m on l.cohort_month <= m.month
)

select
    cohort_month,
    tenant_id,
    channel,
    month_number,
    count(*) as leads,
    case when has_ended then count(case when is_qualified then 1 end) end as qualified_leads,
    case when has_ended then count(case when is_converted then 1 end) end as converted_leads,
    case
        when has_ended then cast(sum(case when is_converted then converted_value_minor else 0 end) as bigint)
    end as converted_value_reporting_minor
from followed
group by cohort_month, tenant_id, channel, month_number, has_ended
