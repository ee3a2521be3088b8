"""Parquet: footers, a verdict on each file, converted copies, the sample's files."""
