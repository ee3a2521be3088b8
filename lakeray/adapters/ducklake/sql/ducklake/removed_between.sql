-- How many files that a stream registered in these snapshots, both ends inclusive, have been taken out again.
SELECT count(*) FROM lakehouse.meta.removals
WHERE source = ? AND stream = ? AND registered_snapshot BETWEEN ? AND ?
