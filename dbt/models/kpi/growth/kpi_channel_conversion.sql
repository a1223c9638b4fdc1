-- A cohort is settled 90 days after its day: each build moves the cohorts that its days can still decide.
{{ config(materialized="incremental", incremental_strategy="replace_settling_days", settling_days=90) }}

with cohorts as (
    select
        tenant_id,
        lead_id,
        cohort_on,
        created_on is not null as is_created,
        is_converted_in_window as is_converted,
        case when is_converted_in_window then coalesce(converted_value_reporting_minor, 0) else 0 end as value_minor,
        -- What the lead was thought to be worth when it qualified, if that was within the window.
        case
            when created_on is not null and qualified_on <= settled_on then coalesce(est_value_reporting_minor, 0) else 0
        end as est_value_minor
    from {{ ref("fct_leads") }}
    where {{ settling_days("cohort_on") }}
),

credits as (
    {%- for model, weight in {
        "first_touch": "first_touch_weight",
        "last_touch": "last_touch_weight",
        "linear": "linear_weight",
        "position": "position_weight",
    }.items() %}
    select
        c.*,
        t.touch_no,
        t.channel,
        '{{ model }}' as model,
        t.{{ weight }} as weight
    from cohorts as c
    inner join {{ ref("fct_touches") }} as t on c.tenant_id = t.tenant_id and c.lead_id = t.lead_id
    where t.{{ weight }} > 0
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
),

accumulated as (
    select
        *,
        sum(weight) over (
            partition by tenant_id, lead_id, model order by touch_no
            rows between unbounded preceding and current row
        ) as weight_so_far
    from credits
),

apportioned as (
    -- Differences of rounded running totals are whole cents that add up to the lead's value.
    select
        *,
        {{ converted("value_minor", "weight_so_far") }}
        - {{ converted("value_minor", "(weight_so_far - weight)") }} as value_share_minor,
        {{ converted("est_value_minor", "weight_so_far") }}
        - {{ converted("est_value_minor", "(weight_so_far - weight)") }} as est_value_share_minor
    from accumulated
)

select
    cohort_on as day,
    tenant_id,
    channel,
    model,
    cast(sum(case when is_created then weight else 0 end) as {{ float_type() }}) as created,
    cast(sum(case when is_converted then weight else 0 end) as {{ float_type() }}) as converted,
    cast(sum(value_share_minor) as bigint) as converted_value_reporting_minor,
    cast(sum(est_value_share_minor) as bigint) as created_est_value_reporting_minor,
    cast(sum(case when is_converted then est_value_share_minor else 0 end) as bigint) as converted_est_value_reporting_minor
from apportioned
group by cohort_on, tenant_id, channel, model
