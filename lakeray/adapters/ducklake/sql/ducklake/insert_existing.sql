-- What a stream's first plan lists, unless something is noted already.
INSERT INTO lakehouse.meta.existing_files
SELECT $source, $stream, file_key, etag FROM listed
WHERE NOT EXISTS (SELECT 1 FROM lakehouse.meta.existing_files WHERE source = $source AND stream = $stream)
