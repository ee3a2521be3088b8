-- One row per order, with everything that has been returned of it so far. The measures follow Shopify's own sales reports
-- (https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/sales-report):
--   net = gross - discounts - returns        total = net + shipping + taxes
-- Like those reports it leaves out test orders and deleted orders, keeps cancelled ones, and counts neither tips nor duties.
-- Refunds are summed over all refunds of the order that int_shopify__order_refunds holds, whenever they arrived.

{{ config(unique_key='order_id') }}
{%- set orders, refunds = ref('int_shopify__orders'), ref('int_shopify__order_refunds') -%}
{%- set since = lakeray.since([orders, refunds]) -%}
{%- set affected = lakeray.affected(
    since,
    'select id from ' ~ lakeray.changes(orders, since) ~ ' union all select order_id from ' ~ lakeray.changes(refunds, since)
) %}

with returned_items as (
    select
        refunds.order_id,
        sum(item.subtotal::decimal(18, 2)) as items,
        sum(item.total_tax::decimal(18, 2)) as item_taxes
    from {{ refunds }} as refunds, unnest(refunds.refund_line_items) as items(item)
    where {{ lakeray.among(affected, 'refunds.order_id') }}
    group by refunds.order_id
),

-- Amounts of adjustments are negative when money goes back to the customer. A shipping refund belongs to shipping, every
-- other kind corrects the value of the returned goods. (Since Shopify's API version 2024-10 refunded shipping is no longer an
-- adjustment but in refund_shipping_lines, which Airbyte's stream does not carry: shipping then stays what was charged.)
adjustments as (
    select
        refunds.order_id,
        sum(try_cast(adjustment.amount as decimal(18, 2))) filter (adjustment.kind = 'shipping_refund') as shipping,
        sum(try_cast(adjustment.amount as decimal(18, 2)))
            filter (adjustment.kind is distinct from 'shipping_refund') as corrections,
        sum(try_cast(adjustment.tax_amount as decimal(18, 2))) as taxes
    from {{ refunds }} as refunds, unnest(refunds.order_adjustments) as adjustments(adjustment)
    where {{ lakeray.among(affected, 'refunds.order_id') }}
    group by refunds.order_id
),

orders as (
    select
        orders.*,
        coalesce(taxes_included, false) as prices_include_taxes,
        coalesce(total_tax, 0)::decimal(18, 2) as charged_taxes
    from {{ orders }} as orders
    where not coalesce(test, false) and deleted_at is null and {{ lakeray.among(affected, 'orders.id') }}
),

-- Where prices include taxes, the taxes are taken out of gross and returns, so that they count once.
measured as (
    select
        orders.*,
        (
            coalesce(orders.total_line_items_price, 0)::decimal(18, 2)
            - case when orders.prices_include_taxes then orders.charged_taxes else 0 end
        )::decimal(18, 2) as gross,
        coalesce(orders.total_discounts, 0)::decimal(18, 2) as discounts,
        (
            coalesce(returned_items.items, 0)
            - case when orders.prices_include_taxes then coalesce(returned_items.item_taxes, 0) else 0 end
            - coalesce(adjustments.corrections, 0)
        )::decimal(18, 2) as returns,
        (
            coalesce(orders.total_shipping_price_set.shop_money.amount, 0)::decimal(18, 2)
            + coalesce(adjustments.shipping, 0)
        )::decimal(18, 2) as shipping,
        (
            orders.charged_taxes - coalesce(returned_items.item_taxes, 0) + coalesce(adjustments.taxes, 0)
        )::decimal(18, 2) as taxes
    from orders
    left join returned_items on returned_items.order_id = orders.id
    left join adjustments on adjustments.order_id = orders.id
)

select
    id as order_id,
    name as order_name,
    coalesce(customer_id, customer.id) as customer_id,
    lower(trim(coalesce(email, contact_email, customer_email))) as email,
    currency,
    created_at as ordered_at,
    updated_at,
    financial_status,
    fulfillment_status,
    cancelled_at,
    coalesce(list_sum(list_transform(line_items, lambda item: item.quantity)), 0)::bigint as quantity,
    gross,
    discounts,
    returns,
    (gross - discounts - returns)::decimal(18, 2) as net,
    shipping,
    taxes,
    (gross - discounts - returns + shipping + taxes)::decimal(18, 2) as total
from measured
