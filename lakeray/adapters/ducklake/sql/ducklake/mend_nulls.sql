-- Files of a snapshot that lack a column have nulls in it, which DuckLake's call does not count.
UPDATE __ducklake_metadata_lakehouse.ducklake_table_column_stats SET contains_null = true
WHERE (table_id, column_id) IN (
    SELECT s.table_id, s.column_id
    FROM __ducklake_metadata_lakehouse.ducklake_table_column_stats AS s
    JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = s.table_id AND t.end_snapshot IS NULL
    JOIN __ducklake_metadata_lakehouse.ducklake_data_file AS f
      ON f.table_id = s.table_id AND f.begin_snapshot = $snapshot
    LEFT JOIN __ducklake_metadata_lakehouse.ducklake_file_column_stats AS c
      ON c.data_file_id = f.data_file_id AND c.column_id = s.column_id
    WHERE t.table_name = $table AND c.column_id IS NULL)
