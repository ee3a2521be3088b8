-- Where the rows of each registered file are from (P12), with the commit.
INSERT INTO lakehouse.meta.origins
SELECT $source, $stream, unnest($paths), unnest($origins)
