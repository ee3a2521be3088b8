-- A file that cannot be registered with its fields is not tried again.
UPDATE lakehouse.meta.left_out SET refused = $refused WHERE source = $source AND stream = $stream AND file_key = $key
