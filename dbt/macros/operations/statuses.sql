{# What an equipment status means to the utilisation KPI; the one home of these three lists. #}

{% macro is_on_rent(status) -%}
{{ status }} in ('checked_out', 'in_transit', 'on_site')
{%- endmacro %}

{% macro is_in_maintenance(status) -%}
{{ status }} in ('in_repair', 'in_inspection')
{%- endmacro %}

{% macro is_out_of_fleet(status) -%}
{{ status }} in ('lost', 'retired')
{%- endmacro %}


{# Whether a scan exception claims a status of an item at all; a duplicate scan repeats a claim that counts already. #}
{% macro is_claim_of_exception() -%}
    equipment_id is not null and to_status is not null and code <> 'duplicate_scan'
{%- endmacro %}
