-- Every stream's cursor and marks, by Postgres itself.
SELECT convert_from(source, 'UTF8'), convert_from(stream, 'UTF8'), convert_from(cursor_path, 'UTF8'),
       transformed_snapshot, updated_at::timestamptz
FROM {feeder_cursors} WHERE end_snapshot IS NULL
