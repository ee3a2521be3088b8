-- all_contract_notes.sql by Postgres itself.
SELECT convert_from(source, 'UTF8'), convert_from(stream, 'UTF8'), 'merged_by', convert_from(primary_key, 'UTF8'),
       convert_from(newest_first, 'UTF8'), 0
FROM {merged_by} WHERE end_snapshot IS NULL
UNION ALL
SELECT convert_from(source, 'UTF8'), convert_from(stream, 'UTF8'), 'left_out', convert_from(fields, 'UTF8'), NULL, count(*)
FROM {left_out} WHERE end_snapshot IS NULL AND refused IS NULL GROUP BY source, stream, fields
UNION ALL
SELECT convert_from(model, 'UTF8'), NULL, 'cursor_type', convert_from(column_name, 'UTF8'), convert_from(cursor_type, 'UTF8'), 0
FROM {cursor_types} WHERE end_snapshot IS NULL
