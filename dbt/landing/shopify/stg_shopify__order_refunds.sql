-- Generated from conf/stream/shopify/order_refunds.yaml by `python -m lakeray generate`; do not edit.
CREATE TABLE IF NOT EXISTS lakehouse.staging."stg_shopify__order_refunds" (
    "_airbyte_raw_id" VARCHAR,
    "_airbyte_extracted_at" TIMESTAMP WITH TIME ZONE,
    "_airbyte_meta" STRUCT("sync_id" BIGINT, "changes" STRUCT("field" VARCHAR, "change" VARCHAR, "reason" VARCHAR)[]),
    "_airbyte_generation_id" BIGINT,
    "order_id" BIGINT,
    "restock" BOOLEAN,
    "order_adjustments" STRUCT("order_id" BIGINT, "tax_amount" VARCHAR, "refund_id" BIGINT, "amount" VARCHAR, "kind" VARCHAR, "id" BIGINT, "reason" VARCHAR)[],
    "processed_at" TIMESTAMP WITH TIME ZONE,
    "user_id" BIGINT,
    "note" VARCHAR,
    "id" BIGINT,
    "created_at" TIMESTAMP WITH TIME ZONE,
    "admin_graphql_api_id" VARCHAR,
    "duties" VARCHAR,
    "refund_line_items" STRUCT("location_id" BIGINT, "subtotal_set" STRUCT("shop_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE), "presentment_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE)), "total_tax_set" STRUCT("shop_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE), "presentment_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE)), "line_item_id" BIGINT, "total_tax" DOUBLE, "quantity" BIGINT, "id" BIGINT, "line_item" STRUCT("gift_card" BOOLEAN, "price" DOUBLE, "tax_lines" STRUCT("price_set" STRUCT("shop_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE), "presentment_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE)), "price" DOUBLE, "title" VARCHAR, "rate" DOUBLE, "channel_liable" BOOLEAN)[], "fulfillment_service" VARCHAR, "sku" VARCHAR, "fulfillment_status" VARCHAR, "properties" VARCHAR[], "quantity" BIGINT, "variant_id" BIGINT, "grams" BIGINT, "requires_shipping" BOOLEAN, "vendor" VARCHAR, "price_set" STRUCT("shop_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE), "presentment_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE)), "variant_inventory_management" VARCHAR, "pre_tax_price" DOUBLE, "variant_title" VARCHAR, "total_discount_set" STRUCT("shop_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE), "presentment_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE)), "discount_allocations" STRUCT("amount" DOUBLE, "amount_set" STRUCT("shop_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE), "presentment_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE)), "discount_application_index" BIGINT)[], "pre_tax_price_set" STRUCT("shop_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE), "presentment_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE)), "fulfillable_quantity" BIGINT, "id" BIGINT, "admin_graphql_api_id" VARCHAR, "total_discount" DOUBLE, "name" VARCHAR, "product_exists" BOOLEAN, "taxable" BOOLEAN, "product_id" BIGINT, "title" VARCHAR, "duties" STRUCT("duty_id" BIGINT, "amount_set" STRUCT("shop_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE), "presentment_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE)))[]), "subtotal" DOUBLE, "restock_type" VARCHAR)[],
    "return" STRUCT("admin_graphql_api_id" VARCHAR, "id" BIGINT),
    "transactions" STRUCT("id" BIGINT, "admin_graphql_api_id" VARCHAR, "amount" VARCHAR, "authorization" VARCHAR, "created_at" TIMESTAMP WITH TIME ZONE, "currency" VARCHAR, "device_id" BIGINT, "error_code" VARCHAR, "gateway" VARCHAR, "kind" VARCHAR, "location_id" BIGINT, "message" VARCHAR, "order_id" BIGINT, "parent_id" BIGINT, "processed_at" TIMESTAMP WITH TIME ZONE, "receipt" STRUCT("paid_amount" VARCHAR), "source_name" VARCHAR, "status" VARCHAR, "test" BOOLEAN, "user_id" BIGINT, "payment_details" STRUCT("avs_result_code" VARCHAR, "buyer_action_info" VARCHAR, "credit_card_bin" VARCHAR, "credit_card_company" VARCHAR, "credit_card_expiration_month" BIGINT, "credit_card_expiration_year" BIGINT, "credit_card_name" VARCHAR, "credit_card_number" VARCHAR, "credit_card_wallet" VARCHAR, "cvv_result_code" VARCHAR), "payment_id" VARCHAR)[],
    "shop_url" VARCHAR,
    "total_duties_set" STRUCT("shop_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE), "presentment_money" STRUCT("currency_code" VARCHAR, "amount" DOUBLE))
);
