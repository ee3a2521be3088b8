-- Generated from conf/stream/klaviyo/flows.yaml by `python -m lakeray generate`; do not edit.
CREATE TABLE IF NOT EXISTS lakehouse.staging."stg_klaviyo__flows" (
    "_airbyte_raw_id" VARCHAR,
    "_airbyte_extracted_at" TIMESTAMP WITH TIME ZONE,
    "_airbyte_meta" STRUCT("sync_id" BIGINT, "changes" STRUCT("field" VARCHAR, "change" VARCHAR, "reason" VARCHAR)[]),
    "_airbyte_generation_id" BIGINT,
    "type" VARCHAR,
    "id" VARCHAR,
    "updated" TIMESTAMP WITH TIME ZONE,
    "attributes" STRUCT("name" VARCHAR, "status" VARCHAR, "archived" BOOLEAN, "created" TIMESTAMP WITH TIME ZONE, "updated" TIMESTAMP WITH TIME ZONE, "trigger_type" VARCHAR),
    "links" STRUCT("self" VARCHAR),
    "relationships" STRUCT("flow-actions" STRUCT("data" STRUCT("type" VARCHAR, "id" VARCHAR)[], "links" STRUCT("self" VARCHAR, "related" VARCHAR)), "tags" STRUCT("data" STRUCT("type" VARCHAR, "id" VARCHAR)[], "links" STRUCT("self" VARCHAR, "related" VARCHAR)))
);
