-- The marks that the enriched models were last built from.
SELECT built_from FROM lakehouse.meta.enriched_marks WHERE model = '*'
