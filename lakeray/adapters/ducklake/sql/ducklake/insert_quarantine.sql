-- Rejected files; an older record of the same key goes first.
INSERT INTO lakehouse.meta.quarantine
SELECT $source, $stream, unnest($keys), unnest($etags), unnest($sizes), unnest($reasons), unnest($details),
       $status, $seen_at
