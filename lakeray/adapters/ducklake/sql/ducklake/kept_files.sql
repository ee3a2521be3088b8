-- How many files of a stream left landing for one reason: kept, their objects stay.
SELECT count(*) FROM lakehouse.meta.removals WHERE source = $source AND stream = $stream AND reason = $reason
