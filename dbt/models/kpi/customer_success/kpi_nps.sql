-- Answers of the 90 days that end with the day. An answer that was given again counts until the day before.

with counting as (
    select
        tenant_id,
        touchpoint,
        answer_group,
        submitted_on as first_day,
        least(
            {{ add_days("submitted_on", 89) }},
            {{ add_days("coalesce(superseded_on, date '9999-12-31')", -1) }}
        ) as last_day
    from {{ ref("int_survey_answer_versions") }}
    where submitted_on <= {{ end_day() }}
),

counted as (
    select
        d.day,
        c.tenant_id,
        c.touchpoint,
        count(case when c.answer_group = 'promoter' then 1 end) as promoters,
        count(case when c.answer_group = 'passive' then 1 end) as passives,
        count(case when c.answer_group = 'detractor' then 1 end) as detractors
    from {{ day_spine() }} as d
    inner join counting as c on d.day between c.first_day and c.last_day
    group by d.day, c.tenant_id, c.touchpoint
)

select
    day,
    tenant_id,
    touchpoint,
    promoters,
    passives,
    detractors,
    promoters + passives + detractors as answers,
    {{ net_promoter_interval_low("promoters", "passives", "detractors") }} as score_low,
    {{ net_promoter_interval_high("promoters", "passives", "detractors") }} as score_high
from counted
