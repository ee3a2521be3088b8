-- What the enriched models were last built from: of all, of the project, and of each.
SELECT model, built_from FROM lakehouse.meta.enriched_marks
