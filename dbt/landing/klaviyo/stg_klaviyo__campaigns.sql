-- Generated from conf/stream/klaviyo/campaigns.yaml by `python -m lakeray generate`; do not edit.
CREATE TABLE IF NOT EXISTS lakehouse.staging."stg_klaviyo__campaigns" (
    "_airbyte_raw_id" VARCHAR,
    "_airbyte_extracted_at" TIMESTAMP WITH TIME ZONE,
    "_airbyte_meta" STRUCT("sync_id" BIGINT, "changes" STRUCT("field" VARCHAR, "change" VARCHAR, "reason" VARCHAR)[]),
    "_airbyte_generation_id" BIGINT,
    "type" VARCHAR,
    "id" VARCHAR,
    "updated_at" TIMESTAMP WITH TIME ZONE,
    "attributes" STRUCT("name" VARCHAR, "status" VARCHAR, "archived" BOOLEAN, "channel" VARCHAR, "audiences" STRUCT("included" VARCHAR[], "excluded" VARCHAR[]), "send_options" STRUCT("ignore_unsubscribes" BOOLEAN, "use_smart_sending" BOOLEAN), "message" VARCHAR, "tracking_options" STRUCT("add_tracking_params" BOOLEAN, "is_tracking_opens" BOOLEAN, "is_tracking_clicks" BOOLEAN, "is_add_utm" BOOLEAN, "utm_params" STRUCT("name" VARCHAR, "value" VARCHAR)[]), "send_strategy" STRUCT("method" VARCHAR, "options_static" STRUCT("datetime" TIMESTAMP WITH TIME ZONE, "is_local" BOOLEAN, "send_past_recipients_immediately" BOOLEAN), "options_throttled" STRUCT("datetime" TIMESTAMP WITH TIME ZONE, "throttle_percentage" BIGINT), "options_sto" STRUCT("date" DATE)), "created_at" TIMESTAMP WITH TIME ZONE, "scheduled_at" TIMESTAMP WITH TIME ZONE, "updated_at" TIMESTAMP WITH TIME ZONE, "send_time" TIMESTAMP WITH TIME ZONE),
    "links" STRUCT("self" VARCHAR),
    "relationships" STRUCT("tags" STRUCT("data" STRUCT("type" VARCHAR, "id" VARCHAR)[], "links" STRUCT("self" VARCHAR, "related" VARCHAR)), "campaign-messages" STRUCT("data" STRUCT("type" VARCHAR, "id" VARCHAR)[], "links" STRUCT("self" VARCHAR, "related" VARCHAR)))
);
