{{ config(materialized="incremental", incremental_strategy="replace_days", full_refresh=false, cluster_by=none) }}

select
    day,
    {{ month_of("day") }} as month,
    {{ add_days(add_months(month_of("day"), 1), -1) }} as month_ends_on,
    {{ add_days("day", "1 - " ~ iso_weekday("day")) }} as week,
    {{ iso_weekday("day") }} as weekday
from {{ day_spine() }} as days
