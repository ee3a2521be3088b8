-- streams_marks.sql by Postgres itself.
SELECT convert_from(source, 'UTF8') || '/' || convert_from(stream, 'UTF8'), transformed_snapshot
FROM {feeder_cursors} WHERE end_snapshot IS NULL AND transformed_snapshot > 0 ORDER BY 1
