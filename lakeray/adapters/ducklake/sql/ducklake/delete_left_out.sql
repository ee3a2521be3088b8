-- Files that leave the landing table leave this record too.
DELETE FROM lakehouse.meta.left_out WHERE source = $source AND stream = $stream AND file_key IN (SELECT unnest($keys))
