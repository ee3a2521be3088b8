-- What the snapshot changed: other writers compare their changes with these.
INSERT INTO ducklake_snapshot_changes (snapshot_id, changes_made, author, commit_message, commit_extra_info)
VALUES ($1, $2, $3, $4, $5)
