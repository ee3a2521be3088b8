-- Generated from conf/stream/klaviyo/events.yaml by `python -m lakeray generate`; do not edit.
-- One row per key, the newest. To change the model, remove the line above: the file is yours then.
{{ config(
    tags=['klaviyo__events'],
    unique_key=['id'],
    newest_first='datetime',
) }}

select *
from {{ lakeray.latest(
    lakeray.new_rows('klaviyo', 'events'),
    key=['id'],
    newest_first='datetime',
) }}
