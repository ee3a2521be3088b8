-- Paths scheduled for deletion that a live data file still refers to: must be none (P13).
SELECT s.path FROM __ducklake_metadata_lakehouse.ducklake_files_scheduled_for_deletion AS s
JOIN __ducklake_metadata_lakehouse.ducklake_data_file AS d
    ON d.path = s.path AND d.path_is_relative = s.path_is_relative
LIMIT 5
