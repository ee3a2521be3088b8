-- The batch's record, by which a lost answer is read back.
INSERT INTO lakehouse.meta.batches VALUES (?, ?, ?, ?, ?, ?, ?, ?)
