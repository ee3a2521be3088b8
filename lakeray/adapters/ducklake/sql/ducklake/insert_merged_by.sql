-- What a stream's processed table is merged by.
INSERT INTO lakehouse.meta.merged_by VALUES (?, ?, ?, ?, ?)
