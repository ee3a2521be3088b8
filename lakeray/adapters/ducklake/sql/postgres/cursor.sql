-- A stream's cursor and marks, by Postgres itself.
SELECT convert_from(cursor_path, 'UTF8'), transformed_snapshot, updated_at::timestamptz
FROM {feeder_cursors}
WHERE end_snapshot IS NULL AND source = convert_to(%s, 'UTF8') AND stream = convert_to(%s, 'UTF8')
