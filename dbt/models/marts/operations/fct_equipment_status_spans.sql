-- An item's way through its statuses. `status_seq` decides, not the clock and not arrival: an event whose
-- number is below one that already happened changes nothing. The state at any moment depends on the events
-- up to that moment only, so the close of a day never changes when later days do.
-- Only items that the build bears upon are worked out again, each from all of its history.
{{ config(
    materialized="incremental", incremental_strategy="replace_entities",
    entity_columns=["tenant_id", "equipment_id"], entities="int_equipment_claims"
) }}

with known as (
    {{ entities_built_before(ref("int_equipment_claims"), ["tenant_id", "equipment_id", "claim_count"]) }}
),

touched as (
    select
        items.tenant_id,
        items.equipment_id,
        items.claim_count
    from {{ ref("int_equipment_claims") }} as items
    left join known
        on items.tenant_id = known.tenant_id and items.equipment_id = known.equipment_id
    where items.has_claims_in_build or coalesce(known.claim_count, 0) <> items.claim_count
),

all_claims as (
    -- A registration carries no number: it stands before everything that does.
    select
        tenant_id,
        equipment_id,
        message_id,
        occurred_at,
        occurred_on,
        status,
        'equipment.registered' as claimed_by,
        cast(-1 as bigint) as status_seq
    from {{ ref("stg_inventory__equipment_registered") }}
    union all
    select
        tenant_id,
        equipment_id,
        message_id,
        occurred_at,
        occurred_on,
        to_status as status,
        'equipment.status_changed' as claimed_by,
        status_seq
    from {{ ref("stg_inventory__equipment_status_changed") }}
    union all
    select
        tenant_id,
        equipment_id,
        message_id,
        occurred_at,
        occurred_on,
        to_status as status,
        'scan.completed' as claimed_by,
        status_seq
    from {{ ref("stg_inventory__scan_completed") }}
    union all
    -- An exception carries no number, so it moves no item: it can only contradict the number that was in force
    -- when it was scanned. A duplicate scan repeats one that counts already.
    select
        tenant_id,
        equipment_id,
        message_id,
        occurred_at,
        occurred_on,
        to_status as status,
        'scan.exception' as claimed_by,
        cast(null as bigint) as status_seq
    from {{ ref("stg_inventory__scan_exception") }}
    where {{ is_claim_of_exception() }}
),

claims as (
    select
        all_claims.*,
        touched.claim_count
    from all_claims
    inner join touched
        on all_claims.tenant_id = touched.tenant_id and all_claims.equipment_id = touched.equipment_id
),

ordered as (
    -- Of events at the same moment, numbers decide; what has none comes after them.
    select
        *,
        row_number() over (
            partition by tenant_id, equipment_id
            order by occurred_at, coalesce(status_seq, 9223372036854775807), message_id
        ) as event_no
    from claims
),

placed as (
    select
        *,
        max(status_seq) over (
            partition by tenant_id, equipment_id order by event_no
            rows between unbounded preceding and current row
        ) as seq_in_force
    from ordered
),

standing as (
    select
        *,
        case when status_seq is not null then status end as ordered_claim,
        case when status_seq >= 0 then status end as numbered_claim,
        case when status_seq >= 0 and {{ is_on_rent("status") }} then status end as rent_claim,
        case when status_seq >= 0 and {{ is_in_maintenance("status") }} then status end as maintenance_claim,
        case when status_seq is null and {{ is_on_rent("status") }} then status end as rent_exception,
        case when status_seq is null and {{ is_in_maintenance("status") }} then status end as maintenance_exception
    from placed
    where seq_in_force is not null and (status_seq is null or status_seq = seq_in_force)
),

weighed as (
    -- What has been claimed so far beside the number in force. A registration carries no claim against another one.
    select
        *,
        {%- for claim, newest in {
            "ordered_claim": "newest_claim", "rent_claim": "newest_rent_claim", "rent_exception": "newest_rent_exception"
        }.items() %}
        last_value({{ claim }} ignore nulls) over (
            partition by tenant_id, equipment_id, seq_in_force order by event_no
            rows between unbounded preceding and current row
        ) as {{ newest }},
        {%- endfor %}
        {%- for claim in ["maintenance_claim", "maintenance_exception", "numbered_claim"] %}
        max({{ claim }}) over (
            partition by tenant_id, equipment_id, seq_in_force order by event_no
            rows between unbounded preceding and current row
        ) as highest_{{ claim }},
        {%- endfor %}
        min(numbered_claim) over (
            partition by tenant_id, equipment_id, seq_in_force order by event_no
            rows between unbounded preceding and current row
        ) as lowest_numbered_claim
    from standing
),

judged as (
    select
        *,
        (newest_rent_claim is not null and coalesce(highest_maintenance_claim, highest_maintenance_exception) is not null)
        or (highest_maintenance_claim is not null and newest_rent_exception is not null) as is_rented_in_maintenance
    from weighed
),

resolved as (
    select
        tenant_id,
        equipment_id,
        claim_count,
        event_no,
        occurred_at,
        occurred_on,
        claimed_by,
        seq_in_force,
        -- On rent and in repair by conflicting events is on rent.
        case
            when is_rented_in_maintenance then coalesce(newest_rent_claim, newest_rent_exception) else newest_claim
        end as status,
        is_rented_in_maintenance or coalesce(lowest_numbered_claim <> highest_numbered_claim, false) as has_conflict
    from judged
),

changes as (
    select
        *,
        lag(status) over (partition by tenant_id, equipment_id order by event_no) as status_before,
        lag(has_conflict) over (partition by tenant_id, equipment_id order by event_no) as had_conflict
    from resolved
),

starts as (
    select * from changes
    where status_before is null or status <> status_before or has_conflict <> had_conflict
)

select
    tenant_id,
    equipment_id,
    cast(row_number() over (partition by tenant_id, equipment_id order by event_no) as integer) as span_no,
    status,
    seq_in_force as status_seq,
    claimed_by as started_by,
    occurred_at as started_at,
    lead(occurred_at) over (partition by tenant_id, equipment_id order by event_no) as ended_at,
    occurred_on as started_on,
    lead(occurred_on) over (partition by tenant_id, equipment_id order by event_no) as ended_on,
    has_conflict,
    claim_count
from starts
