-- A stream's cursor and marks.
SELECT cursor_path, transformed_snapshot, updated_at
FROM lakehouse.meta.feeder_cursors WHERE source = ? AND stream = ?
