-- Note what a processed table's cursor is compared as.
INSERT INTO lakehouse.meta.cursor_types VALUES (?, ?, ?, ?)
