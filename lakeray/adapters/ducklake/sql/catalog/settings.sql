-- What decides whether the catalog may be written directly.
SELECT key, value FROM ducklake_metadata WHERE key IN ('version', 'encrypted')
