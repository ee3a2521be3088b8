-- Rows of a processed table, those without the new key, and those whose value does not fit a new type, by column.
SELECT count(*), count(*) FILTER (WHERE NOT ($has_key))$failing FROM lakehouse.main.$table
