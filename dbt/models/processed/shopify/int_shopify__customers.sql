-- Generated from conf/stream/shopify/customers.yaml by `python -m lakeray generate`; do not edit.
-- One row per key, the newest. To change the model, remove the line above: the file is yours then.
{{ config(
    tags=['shopify__customers'],
    unique_key=['id'],
    newest_first='updated_at',
) }}

select *
from {{ lakeray.latest(
    lakeray.new_rows('shopify', 'customers'),
    key=['id'],
    newest_first='updated_at',
) }}
