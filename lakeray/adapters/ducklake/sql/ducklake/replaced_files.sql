-- How many files of a stream a newer generation has replaced, and how many rows they brought (P16).
SELECT count(*), coalesce(sum(l.row_count), 0)::BIGINT
FROM lakehouse.meta.removals AS r
JOIN (SELECT *, snapshot_id FROM lakehouse.meta.ledger) AS l
    ON l.source = r.source AND l.stream = r.stream AND l.file_key = r.file_key AND l.snapshot_id = r.registered_snapshot
WHERE r.source = $source AND r.stream = $stream AND r.reason = $reason
