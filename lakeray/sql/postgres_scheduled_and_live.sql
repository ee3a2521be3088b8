-- scheduled_and_live.sql by Postgres itself.
SELECT s.path FROM {catalog}.ducklake_files_scheduled_for_deletion AS s
JOIN {catalog}.ducklake_data_file AS d ON d.path = s.path AND d.path_is_relative = s.path_is_relative
LIMIT 5
