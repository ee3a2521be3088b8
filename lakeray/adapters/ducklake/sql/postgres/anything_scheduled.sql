-- anything_scheduled.sql by Postgres itself.
SELECT 1 FROM {catalog}.ducklake_files_scheduled_for_deletion LIMIT 1
