-- Generated from conf/stream/klaviyo/events.yaml by `python -m lakeray generate`; do not edit.
CREATE TABLE IF NOT EXISTS lakehouse.staging."stg_klaviyo__events" (
    "_airbyte_raw_id" VARCHAR,
    "_airbyte_extracted_at" TIMESTAMP WITH TIME ZONE,
    "_airbyte_meta" STRUCT("sync_id" BIGINT, "changes" STRUCT("field" VARCHAR, "change" VARCHAR, "reason" VARCHAR)[]),
    "_airbyte_generation_id" BIGINT,
    "type" VARCHAR,
    "id" VARCHAR,
    "datetime" TIMESTAMP WITH TIME ZONE,
    "attributes" STRUCT("timestamp" BIGINT, "event_properties" VARCHAR, "datetime" TIMESTAMP WITH TIME ZONE, "uuid" VARCHAR),
    "links" STRUCT("self" VARCHAR),
    "relationships" STRUCT("profile" STRUCT("data" STRUCT("type" VARCHAR, "id" VARCHAR), "links" STRUCT("self" VARCHAR, "related" VARCHAR)), "metric" STRUCT("data" STRUCT("type" VARCHAR, "id" VARCHAR), "links" STRUCT("self" VARCHAR, "related" VARCHAR)), "attributions" STRUCT("data" STRUCT("type" VARCHAR, "id" VARCHAR)[], "links" STRUCT("self" VARCHAR, "related" VARCHAR)))
);
