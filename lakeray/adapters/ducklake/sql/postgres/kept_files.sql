-- kept_files.sql by Postgres itself.
SELECT count(*) FROM {removals}
WHERE end_snapshot IS NULL AND source = convert_to(%(source)s, 'UTF8') AND stream = convert_to(%(stream)s, 'UTF8')
  AND reason = convert_to(%(reason)s, 'UTF8')
