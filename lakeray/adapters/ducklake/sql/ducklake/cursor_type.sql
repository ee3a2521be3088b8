-- What the cursor of a processed table is compared as, where it is a text, or the stream's config says it.
SELECT column_name, cursor_type FROM lakehouse.meta.cursor_types WHERE model = ?
