-- Files that are about to be registered anew: cut off in between, the next feed looks at them, whatever their day.
INSERT INTO lakehouse.meta.quarantine
SELECT $source, $stream, unnest($keys), unnest($etags), unnest($sizes), $reason, $detail, 'retry', $seen_at
