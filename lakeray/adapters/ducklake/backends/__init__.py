"""The catalog's database: everything that depends on which one it is."""
