-- What the reasons of an earlier version stood for, through DuckLake: rewrites the rows, a millisecond each.
UPDATE lakehouse.meta.removals SET key_may_return = reason NOT IN (SELECT unnest($standing)) WHERE key_may_return IS NULL
