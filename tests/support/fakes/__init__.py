"""An in-memory lake behind the real ports: no mocks, no Parquet, no catalog, no clock of the machine."""
