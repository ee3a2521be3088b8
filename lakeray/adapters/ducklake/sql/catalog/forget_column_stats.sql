-- Make way for columns' new bounds.
DELETE FROM ducklake_table_column_stats WHERE table_id = $1 AND column_id = ANY($2)
