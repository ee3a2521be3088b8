-- How many keys are in landing alone, among the rows that count as merged.
SELECT count(*) FROM (
    SELECT $landing_keys FROM lakehouse.staging.$landing WHERE snapshot_id <= $through AND $landing_has_key
    EXCEPT SELECT $keys FROM lakehouse.main.$table)
