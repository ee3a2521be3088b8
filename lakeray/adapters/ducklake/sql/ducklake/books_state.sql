-- What changes when a table of meta is made or altered, or its rows go into files.
SELECT (SELECT max(schema_version) FROM __ducklake_metadata_lakehouse.ducklake_snapshot),
       (SELECT list(table_id ORDER BY table_id) FROM __ducklake_metadata_lakehouse.ducklake_table_stats WHERE file_size_bytes > 0)
