-- Keys that were taken in, or rejected anew, leave the record of rejected files.
DELETE FROM lakehouse.meta.quarantine
WHERE source = $source AND stream = $stream AND file_key IN (SELECT unnest($keys))
