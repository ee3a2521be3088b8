-- Make way for what a stream's processed table is merged by now.
DELETE FROM lakehouse.meta.merged_by WHERE source = ? AND stream = ?
