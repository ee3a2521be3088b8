-- Files whose rows leave the landing table.
INSERT INTO lakehouse.meta.removals
SELECT $source, $stream, unnest($keys), unnest($etags), unnest($snapshots), $reason, $removed_at
