-- Generated from conf/stream/klaviyo/metrics.yaml by `python -m lakeray generate`; do not edit.
-- One row per key, the newest. To change the model, remove the line above: the file is yours then.
{{ config(
    tags=['klaviyo__metrics'],
    unique_key=['id'],
    newest_first='updated',
) }}

select *
from {{ lakeray.latest(
    lakeray.new_rows('klaviyo', 'metrics'),
    key=['id'],
    newest_first='updated',
) }}
