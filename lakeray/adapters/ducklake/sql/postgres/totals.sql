-- totals.sql by Postgres itself, from the batches' records: counting the ledger takes longer as it grows.
SELECT coalesce(sum(file_count), 0)::bigint, max(begin_snapshot) FILTER (WHERE file_count > 0) FROM {batches}
WHERE end_snapshot IS NULL AND source = convert_to(%s, 'UTF8') AND stream = convert_to(%s, 'UTF8')
