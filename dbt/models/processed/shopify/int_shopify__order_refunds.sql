-- Generated from conf/stream/shopify/order_refunds.yaml by `python -m lakeray generate`; do not edit.
-- One row per key, the newest. To change the model, remove the line above: the file is yours then.
{{ config(
    tags=['shopify__order_refunds'],
    unique_key=['id'],
    newest_first='created_at',
) }}

select *
from {{ lakeray.latest(
    lakeray.new_rows('shopify', 'order_refunds'),
    key=['id'],
    newest_first='created_at',
) }}
