-- One ledger row per registered file, with the commit.
INSERT INTO lakehouse.meta.ledger
SELECT $source, $stream, unnest($keys), unnest($etags), unnest($sizes), unnest($rows), unnest($days), $batch_id,
       $commit_id, unnest($paths), $taken_at
