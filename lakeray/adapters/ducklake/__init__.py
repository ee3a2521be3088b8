"""DuckLake: opening it, reading its bookkeeping, and the one writer."""
