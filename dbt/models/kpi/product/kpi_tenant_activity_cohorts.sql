-- Tenants by the first month in which their people used the product, followed month by month: a tenant is active in a
-- month in which a step of a flow was taken. A month that was not built to its end is NULL.
{{ config(materialized="table", partition_by=none) }}

with months as (
    select
        month,
        {{ month_number("month") }} as month_no,
        max(month_ends_on) <= (select max(day) from {{ ref("dim_days") }}) as has_ended
    from {{ ref("dim_days") }}
    group by month
),

used as (
    select
        tenant_id,
        {{ month_of("day") }} as month,
        count(distinct day) as active_days,
        cast(sum(steps) as bigint) as steps
    from {{ ref("fct_flow_steps") }}
    group by tenant_id, {{ month_of("day") }}
),

cohorts as (
    select
        tenant_id,
        min(month) as cohort_month
    from used
    group by tenant_id
)

select
    c.cohort_month,
    c.tenant_id,
    m.month_no - {{ month_number("c.cohort_month") }} as month_number,
    cast(1 as bigint) as tenants,
    case when m.has_ended then cast(case when u.active_days > 0 then 1 else 0 end as bigint) end as active_tenants,
    case when m.has_ended then coalesce(u.active_days, 0) end as active_days,
    case when m.has_ended then coalesce(u.steps, 0) end as steps
from cohorts as c
inner join months as m on c.cohort_month <= m.month
left join used as u on c.tenant_id = u.tenant_id and m.month = u.month
