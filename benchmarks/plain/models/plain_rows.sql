-- The rows that were registered after the last batch, the newest of each key, merged by dbt's own materialization.
{{ config(
    alias=var('table'),
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='id',
    merge_update_condition='DBT_INTERNAL_SOURCE.' ~ var('newest_first') ~ ' >= DBT_INTERNAL_DEST.' ~ var('newest_first'),
) }}

{%- set landing = var('landing') %}
select *
{% if is_incremental() %}
from ducklake_table_insertions('lakehouse', 'staging', '{{ landing }}', {{ var('from') }}, {{ var('to') }})
{% else %}
from lakehouse.staging.{{ landing }}
{% endif %}
qualify row_number() over (
    partition by id order by {{ var('newest_first') }} desc nulls last, _airbyte_extracted_at desc, _airbyte_raw_id desc
) = 1
