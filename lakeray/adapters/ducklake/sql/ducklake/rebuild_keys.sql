-- How many of the new keys a processed table has.
SELECT count(*) FROM (SELECT DISTINCT $keys FROM lakehouse.main.$table WHERE $has_key)
