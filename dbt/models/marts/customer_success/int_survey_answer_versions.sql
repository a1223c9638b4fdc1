-- Every answer with the days on which it is the respondent's last one to its survey. A later answer takes
-- effect on its own day, so the score of an earlier day stays what it was.

with followed as (
    select
        tenant_id,
        project_id,
        survey_id,
        respondent_ref,
        response_id,
        message_id,
        touchpoint,
        cast(score as integer) as score,
        submitted_at,
        occurred_on as submitted_on,
        lead(occurred_on) over (
            partition by tenant_id, survey_id, respondent_ref order by submitted_at, received_at, message_id
        ) as superseded_on
    from {{ ref("stg_crm__nps_submitted") }}
)

select
    tenant_id,
    message_id,
    project_id,
    survey_id,
    respondent_ref,
    response_id,
    touchpoint,
    score,
    case when score >= 9 then 'promoter' when score >= 7 then 'passive' else 'detractor' end as answer_group,
    submitted_at,
    submitted_on,
    superseded_on
from followed
