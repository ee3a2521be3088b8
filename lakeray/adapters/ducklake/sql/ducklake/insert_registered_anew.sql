-- Files whose rows, registered anew, replace the very same records when they are merged.
INSERT INTO lakehouse.meta.registered_anew SELECT $source, $stream, unnest($keys)
