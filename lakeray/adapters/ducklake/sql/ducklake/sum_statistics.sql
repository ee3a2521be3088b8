-- What statistics of files say together, of columns of one type.
SELECT column_id,
       CASE WHEN bool_or(null_count > 0) THEN true WHEN bool_or(null_count IS NULL) THEN NULL ELSE false END AS has_null,
       NOT bool_or((min_value IS NULL OR max_value IS NULL) AND (value_count IS NULL OR value_count > 0)) AS bounded,
       CAST(min(CAST(min_value AS $type)) AS VARCHAR) AS low,
       CAST(max(CAST(max_value AS $type)) AS VARCHAR) AS high
FROM added_statistics WHERE kind = $kind GROUP BY column_id
