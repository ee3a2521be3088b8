-- Nothing is noted any more of what a processed table's cursor is compared as.
DELETE FROM lakehouse.meta.cursor_types WHERE model = ?
