-- One row per Shopify customer, with the Klaviyo profile of the same e-mail address where there is one. Klaviyo can hold
-- several profiles of one address (merged ones, other capitals): the one updated last counts.

{{ config(unique_key='customer_id') }}
{%- set shop, klaviyo = ref('int_shopify__customers'), ref('int_klaviyo__profiles') -%}
{%- set since = lakeray.since([shop, klaviyo]) -%}
{%- set address_of_customer, address_of_profile = "nullif(lower(trim(email)), '')", "nullif(lower(trim(attributes.email)), '')" -%}
{%- set affected = lakeray.affected(
    since,
    'select id from ' ~ lakeray.changes(shop, since) ~ ' union all select id from ' ~ shop ~ ' where ' ~ address_of_customer
    ~ ' in (select ' ~ address_of_profile ~ ' from ' ~ lakeray.changes(klaviyo, since) ~ ')'
) %}

with customers as (
    select shop.*, {{ address_of_customer }} as address
    from {{ shop }} as shop
    where {{ lakeray.among(affected, 'shop.id') }}
),

profiles as (
    select *, {{ address_of_profile }} as address
    from {{ klaviyo }}
    where {{ address_of_profile }} in (select address from customers)
    qualify row_number() over (partition by address order by updated desc nulls last, id) = 1
)

select
    customers.id as customer_id,
    customers.address as email,
    customers.first_name,
    customers.last_name,
    customers.phone,
    customers.state,
    customers.verified_email,
    customers.currency,
    customers.orders_count,
    customers.total_spent::decimal(18, 2) as total_spent,
    customers.last_order_id,
    customers.default_address.city as city,
    customers.default_address.country_code as country_code,
    customers.email_marketing_consent.state as shopify_email_consent,
    customers.sms_marketing_consent.state as shopify_sms_consent,
    customers.tags,
    customers.created_at,
    customers.updated_at,
    profiles.id as klaviyo_profile_id,
    profiles.attributes.external_id as klaviyo_external_id,
    profiles.attributes.subscriptions.email.marketing.consent as klaviyo_email_consent,
    profiles.attributes.subscriptions.email.marketing.can_receive_email_marketing as klaviyo_can_email,
    profiles.attributes.subscriptions.sms.marketing.consent as klaviyo_sms_consent,
    profiles.attributes.last_event_date as klaviyo_last_event_at,
    profiles.attributes.predictive_analytics.historic_clv::decimal(18, 2) as historic_clv,
    profiles.attributes.predictive_analytics.predicted_clv::decimal(18, 2) as predicted_clv,
    profiles.attributes.predictive_analytics.total_clv::decimal(18, 2) as total_clv,
    profiles.attributes.predictive_analytics.churn_probability as churn_probability
from customers
left join profiles on profiles.address = customers.address
