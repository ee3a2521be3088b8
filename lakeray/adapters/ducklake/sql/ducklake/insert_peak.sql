-- The record of one merge, by which the memory factor adapts.
INSERT INTO lakehouse.meta.peaks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
