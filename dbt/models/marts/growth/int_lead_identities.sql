-- The ids under which a lead's pages may have been viewed: the lead's own id, the ids of the message that created
-- it, the users whom identify or alias calls tie to those, and every other id of these users.

with calls as (
    select * from {{ ref("stg_marketing__identities") }}
),

named as (
    select
        tenant_id,
        lead_id,
        lead_id as person_id,
        occurred_on as known_on
    from calls
    where lead_id is not null
    union all
    select
        tenant_id,
        lead_id,
        anonymous_id as person_id,
        occurred_on as known_on
    from calls
    where lead_id is not null
    union all
    select
        tenant_id,
        lead_id,
        user_id as person_id,
        occurred_on as known_on
    from calls
    where lead_id is not null
    union all
    -- A conversion whose creation never came is still known by its own id.
    select
        tenant_id,
        lead_id,
        lead_id as person_id,
        occurred_on as known_on
    from {{ ref("stg_crm__lead_converted") }}
),

links as (
    select
        tenant_id,
        user_id,
        anonymous_id as other_id,
        occurred_on as known_on
    from calls
    where type in ('identify', 'alias')
    union all
    select
        tenant_id,
        user_id,
        previous_id as other_id,
        occurred_on as known_on
    from calls
    where type = 'alias'
),

users as (
    -- A visitor who created the lead before logging in is the user who logged in later.
    select * from named
    union all
    select
        n.tenant_id,
        n.lead_id,
        l.user_id as person_id,
        greatest(n.known_on, l.known_on) as known_on
    from named as n
    inner join links as l on n.tenant_id = l.tenant_id and n.person_id = l.other_id
),

linked as (
    select * from users
    union all
    select
        u.tenant_id,
        u.lead_id,
        l.other_id as person_id,
        greatest(u.known_on, l.known_on) as known_on
    from users as u
    inner join links as l on u.tenant_id = l.tenant_id and u.person_id = l.user_id
)

select
    tenant_id,
    lead_id,
    person_id,
    min(known_on) as known_on
from linked
where person_id is not null
group by tenant_id, lead_id, person_id
