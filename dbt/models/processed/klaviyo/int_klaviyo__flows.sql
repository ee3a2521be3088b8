-- Generated from conf/stream/klaviyo/flows.yaml by `python -m lakeray generate`; do not edit.
-- One row per key, the newest. To change the model, remove the line above: the file is yours then.
{{ config(
    tags=['klaviyo__flows'],
    unique_key=['id'],
    newest_first='updated',
) }}

select *
from {{ lakeray.latest(
    lakeray.new_rows('klaviyo', 'flows'),
    key=['id'],
    newest_first='updated',
) }}
