-- The live files of a stream of which fields were left out.
SELECT file_key, etag, fields, refused FROM lakehouse.meta.left_out WHERE source = $source AND stream = $stream
ORDER BY file_key
