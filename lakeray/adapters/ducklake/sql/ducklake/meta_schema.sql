-- The bookkeeping of the lake; every table is small or inlined in the catalog, so that its rows commit with data files.
-- Three transactions: DuckLake takes no setting for a schema or table of the same transaction, and each of its own costs
-- 60 ms. The last one makes what tells a whole bookkeeping from one that was cut off.
BEGIN TRANSACTION;
CREATE SCHEMA IF NOT EXISTS lakehouse.meta;
CREATE SCHEMA IF NOT EXISTS lakehouse.staging;
CREATE SCHEMA IF NOT EXISTS lakehouse.main;
COMMIT;
BEGIN TRANSACTION;
CALL lakehouse.set_option('data_inlining_row_limit', 100000000, schema => 'meta');
CALL lakehouse.set_option('data_inlining_row_limit', 0, schema => 'staging');
CALL lakehouse.set_option('data_inlining_row_limit', 0, schema => 'main');
CALL lakehouse.set_option('auto_compact', false, schema => 'meta');
CALL lakehouse.set_option('auto_compact', false, schema => 'staging');
-- What storage held before a stream's first batch: millions of rows at times, which the catalog would take hours to inline.
CREATE TABLE IF NOT EXISTS lakehouse.meta.existing_files (source VARCHAR, stream VARCHAR, file_key VARCHAR, etag VARCHAR);
COMMIT;
BEGIN TRANSACTION;
CALL lakehouse.set_option('data_inlining_row_limit', 100, schema => 'meta', table_name => 'existing_files');
CREATE TABLE IF NOT EXISTS lakehouse.meta.ledger (
    source VARCHAR, stream VARCHAR, file_key VARCHAR, etag VARCHAR, size_bytes BIGINT, row_count BIGINT,
    file_day DATE, batch_id VARCHAR, commit_id VARCHAR, registered_path VARCHAR, taken_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE IF NOT EXISTS lakehouse.meta.removals (
    source VARCHAR, stream VARCHAR, file_key VARCHAR, etag VARCHAR, registered_snapshot BIGINT, reason VARCHAR,
    removed_at TIMESTAMP WITH TIME ZONE, key_may_return BOOLEAN);
CREATE TABLE IF NOT EXISTS lakehouse.meta.quarantine (
    source VARCHAR, stream VARCHAR, file_key VARCHAR, etag VARCHAR, size_bytes BIGINT, reason VARCHAR, detail VARCHAR,
    status VARCHAR, seen_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE IF NOT EXISTS lakehouse.meta.batches (
    commit_id VARCHAR, batch_id VARCHAR, source VARCHAR, stream VARCHAR, file_count BIGINT, row_count BIGINT,
    size_bytes BIGINT, committed_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE IF NOT EXISTS lakehouse.meta.committer (
    token BIGINT, holder VARCHAR, taken_at TIMESTAMP WITH TIME ZONE, commits BIGINT);
CREATE TABLE IF NOT EXISTS lakehouse.meta.enriched_marks (
    model VARCHAR, built_from VARCHAR, built_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE IF NOT EXISTS lakehouse.meta.feeder_cursors (
    source VARCHAR, stream VARCHAR, cursor_path VARCHAR, transformed_snapshot BIGINT,
    updated_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE IF NOT EXISTS lakehouse.meta.peaks (
    source VARCHAR, stream VARCHAR, from_snapshot BIGINT, to_snapshot BIGINT, file_count BIGINT, row_count BIGINT,
    size_bytes BIGINT, projected_bytes BIGINT, peak_bytes BIGINT, fixed_bytes BIGINT, limit_bytes BIGINT, outcome VARCHAR,
    spill BOOLEAN, measured_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE IF NOT EXISTS lakehouse.meta.left_out (
    source VARCHAR, stream VARCHAR, file_key VARCHAR, etag VARCHAR, fields VARCHAR, refused VARCHAR);
CREATE TABLE IF NOT EXISTS lakehouse.meta.merged_by (
    source VARCHAR, stream VARCHAR, primary_key VARCHAR, newest_first VARCHAR, noted_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE IF NOT EXISTS lakehouse.meta.registered_anew (source VARCHAR, stream VARCHAR, file_key VARCHAR);
CREATE TABLE IF NOT EXISTS lakehouse.meta.cursor_types (
    model VARCHAR, column_name VARCHAR, cursor_type VARCHAR, kept_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE IF NOT EXISTS lakehouse.meta.row_warnings (
    model VARCHAR, kind VARCHAR, registered_path VARCHAR, row_count BIGINT, seen_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE IF NOT EXISTS lakehouse.meta.origins (
    source VARCHAR, stream VARCHAR, registered_path VARCHAR, origin VARCHAR);
CREATE TABLE IF NOT EXISTS lakehouse.meta.runs (
    source VARCHAR, stream VARCHAR, ended_at TIMESTAMP WITH TIME ZONE, outcome VARCHAR, batch_count BIGINT, file_count BIGINT,
    row_count BIGINT, size_bytes BIGINT, quarantined BIGINT, took_ms BIGINT, error VARCHAR);
COMMIT;
