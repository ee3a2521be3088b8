-- What a run did for each of its streams.
INSERT INTO lakehouse.meta.runs
SELECT unnest($sources), unnest($streams), $at, unnest($outcomes), unnest($batches), unnest($files), unnest($rows),
       unnest($sizes), unnest($quarantined), unnest($took_ms), unnest($errors)
