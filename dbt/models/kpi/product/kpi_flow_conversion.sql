-- How far people come in each flow of the product: runs that reached a step on the day, and how it ended for them.

with steps as (
    select
        occurred_on as day,
        tenant_id,
        project_id,
        flow,
        step,
        flow_run_id,
        max(case when outcome = 'completed' then 1 else 0 end) as is_completed,
        max(case when outcome = 'failed' then 1 else 0 end) as is_failed,
        max(case when outcome = 'abandoned' then 1 else 0 end) as is_abandoned
    from {{ ref("stg_product__ui_flow_step") }}
    where {{ built_days("occurred_on") }}
    group by occurred_on, tenant_id, project_id, flow, step, flow_run_id
),

runs as (
    select
        day,
        tenant_id,
        project_id,
        flow,
        count(distinct flow_run_id) as flow_runs
    from steps
    group by day, tenant_id, project_id, flow
),

reached as (
    -- What was completed in the end neither failed nor was abandoned on the way.
    select
        day,
        tenant_id,
        project_id,
        flow,
        step,
        count(*) as reached_runs,
        sum(is_completed) as completed_runs,
        sum(case when is_completed = 0 then is_failed else 0 end) as failed_runs,
        sum(case when is_completed = 0 and is_failed = 0 then is_abandoned else 0 end) as abandoned_runs
    from steps
    group by day, tenant_id, project_id, flow, step
)

select
    s.day,
    s.tenant_id,
    s.project_id,
    s.flow,
    s.step,
    r.flow_runs,
    s.reached_runs,
    cast(s.completed_runs as bigint) as completed_runs,
    cast(s.failed_runs as bigint) as failed_runs,
    cast(s.abandoned_runs as bigint) as abandoned_runs
from reached as s
inner join runs as r
    on
        s.day = r.day and s.tenant_id = r.tenant_id and s.flow = r.flow
        and coalesce(s.project_id, '') = coalesce(r.project_id, '')
