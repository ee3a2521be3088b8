-- enriched_marks.sql by Postgres itself.
SELECT convert_from(model, 'UTF8'), convert_from(built_from, 'UTF8') FROM {enriched_marks} WHERE end_snapshot IS NULL
