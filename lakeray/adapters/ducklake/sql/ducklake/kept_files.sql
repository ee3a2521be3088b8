-- How many files of a stream left landing whose objects stay.
SELECT count(*) FROM lakehouse.meta.removals WHERE source = $source AND stream = $stream AND reason = $reason
