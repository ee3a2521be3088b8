"""What DuckLake would store of a file, worked out from its footer."""
