-- What a stream's processed table is merged by.
SELECT primary_key, newest_first FROM lakehouse.meta.merged_by WHERE source = ? AND stream = ?
