-- scheduled_and_live.sql by Postgres itself; path by path, for the planner thinks that many are scheduled.
SELECT s.path FROM {catalog}.ducklake_files_scheduled_for_deletion AS s
CROSS JOIN LATERAL (
    SELECT FROM {catalog}.ducklake_data_file AS d
    WHERE d.path = s.path AND d.path_is_relative = s.path_is_relative LIMIT 1
) AS live
LIMIT 5
