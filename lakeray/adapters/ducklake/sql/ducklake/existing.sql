-- All that a stream's first plan listed.
SELECT file_key, etag FROM lakehouse.meta.existing_files WHERE source = $source AND stream = $stream
