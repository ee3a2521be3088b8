-- Every write touches the lease's row: a stale token finds none, and two writers conflict (P10).
UPDATE lakehouse.meta.committer SET commits = commits + 1 WHERE token = ?
