-- One answer for each respondent and survey: the last. What the person wrote stays out of the marts.

select
    tenant_id,
    survey_id,
    respondent_ref,
    response_id,
    project_id,
    touchpoint,
    score,
    answer_group,
    submitted_at,
    submitted_on
from {{ ref("int_survey_answer_versions") }}
where superseded_on is null
