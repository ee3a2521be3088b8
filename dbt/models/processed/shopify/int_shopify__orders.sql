-- Generated from conf/stream/shopify/orders.yaml by `python -m lakeray generate`; do not edit.
-- One row per key, the newest. To change the model, remove the line above: the file is yours then.
{{ config(
    tags=['shopify__orders'],
    unique_key=['id'],
    newest_first=['updated_at', 'deleted_at'],
    deleted_column='deleted_at',
) }}

select *
from {{ lakeray.latest(
    lakeray.new_rows('shopify', 'orders'),
    key=['id'],
    newest_first=['updated_at', 'deleted_at'],
) }}
