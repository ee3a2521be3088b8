-- Columns of one type whose bounds are narrower than those of the table's files, and bounds that hold for both.
SELECT s.table_id, s.column_id,
       CAST(least(min(CAST(c.min_value AS $type)), CAST(s.min_value AS $type)) AS VARCHAR) AS low,
       CAST(greatest(max(CAST(c.max_value AS $type)), CAST(s.max_value AS $type)) AS VARCHAR) AS high
FROM __ducklake_metadata_lakehouse.ducklake_table_column_stats AS s
JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = s.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_lakehouse.ducklake_column AS l
  ON l.table_id = s.table_id AND l.column_id = s.column_id AND l.end_snapshot IS NULL
JOIN __ducklake_metadata_lakehouse.ducklake_file_column_stats AS c
  ON c.table_id = s.table_id AND c.column_id = s.column_id
WHERE t.table_name = $table AND l.column_type IN (SELECT unnest($names))
  AND s.min_value IS NOT NULL AND s.max_value IS NOT NULL
GROUP BY s.table_id, s.column_id, s.min_value, s.max_value
HAVING min(CAST(c.min_value AS $type)) < CAST(s.min_value AS $type)
    OR max(CAST(c.max_value AS $type)) > CAST(s.max_value AS $type)
