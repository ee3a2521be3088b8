-- transformed_through of every stream that has one.
SELECT source || '/' || stream, transformed_snapshot FROM lakehouse.meta.feeder_cursors
WHERE transformed_snapshot > 0 ORDER BY 1
