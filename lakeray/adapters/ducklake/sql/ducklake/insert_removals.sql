-- Files whose rows leave the landing table.
INSERT INTO lakehouse.meta.removals
    (source, stream, file_key, etag, registered_snapshot, reason, removed_at, key_may_return)
SELECT $source, $stream, unnest($keys), unnest($etags), unnest($snapshots), $reason, $removed_at, $key_may_return
