-- Every stream's cursor and marks.
SELECT source, stream, cursor_path, transformed_snapshot, updated_at FROM lakehouse.meta.feeder_cursors
