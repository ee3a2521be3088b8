-- The snapshot of a commit, by what travels with it; it is newer than what the commit looked at.
SELECT snapshot_id FROM ducklake_snapshot_changes WHERE snapshot_id > $1 AND commit_extra_info = $2
