-- Registered files with values that the landing table has no place for.
INSERT INTO lakehouse.meta.left_out SELECT $source, $stream, unnest($keys), unnest($etags), unnest($fields), NULL
