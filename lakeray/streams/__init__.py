"""What follows from a stream's config: landing DDL and dbt files. Pure."""
