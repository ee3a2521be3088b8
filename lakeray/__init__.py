"""lakeray: Airbyte's Parquet files into DuckLake tables, merged by dbt, exactly once, in bounded memory.

The map, in the order of a feed; the clauses are those of docs/protocol.md:

discover    what storage has that the ledger lacks            P2, P3, P4, P14
plan        batches that fit bytes and memory                 P1, P5
validate    a verdict per file, from its footer               P6
commit      data files, ledger and cursor in one snapshot     P7, P8, P9, P10
transform   dbt merges exactly the new rows                   P12
advance     cursor and transformed_through, forward only      P11
clean       whole files behind the cursor, by the catalog     P13

``feed`` is one feed, top to bottom. ``model`` holds the values, ``ports`` what the core needs of the world,
``adapters`` the world, ``wiring`` puts them together, ``commands`` has a module per command.
"""
