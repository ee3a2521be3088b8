-- left_out.sql by Postgres itself.
SELECT convert_from(file_key, 'UTF8'), convert_from(etag, 'UTF8'), convert_from(fields, 'UTF8'),
       convert_from(refused, 'UTF8')
FROM {left_out}
WHERE end_snapshot IS NULL AND source = convert_to(%(source)s, 'UTF8') AND stream = convert_to(%(stream)s, 'UTF8')
ORDER BY file_key
