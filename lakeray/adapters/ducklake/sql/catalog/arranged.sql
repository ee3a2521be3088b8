-- Whether a table is partitioned or sorted.
SELECT count(*) FROM (
    SELECT table_id FROM ducklake_partition_info WHERE end_snapshot IS NULL AND table_id = $1
    UNION ALL
    SELECT table_id FROM ducklake_sort_info WHERE end_snapshot IS NULL AND table_id = $1
) AS arranged
