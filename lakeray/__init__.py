"""lakeray: Airbyte's Parquet files into DuckLake tables, merged by dbt, exactly once, in bounded memory.

The map, in the order of a feed; the clauses are those of docs/protocol.md:

discover    what storage has that the ledger lacks            P2, P3, P4, P14
plan        batches that fit bytes and memory                 P1, P5
ownership   one lake at most deletes a stream's objects       P13
validate    a verdict per file, from its footer               P6
split       a batch that its footers show to be too large     P1, P5
commit      data files, ledger and cursor in one snapshot     P7, P8, P9, P10
merge       dbt merges exactly the new rows                   P12
set_aside   registered files that nobody can read             P6, P15
advance     cursor and transformed_through, forward only      P11
reregister  files with values that have a place by now        P6, P13
clean       whole files behind the cursor, by the catalog     P13
audit       do storage, ledger and catalog agree              P2, P13, P14
rebuild     tables made anew: another key, cursor or type     P12

``feed`` is one feed of one stream, top to bottom; ``rebuild`` one rebuild of one; ``run`` one run of all streams.
``values`` travel between rooms, ``ports`` say what the core needs of the world, ``steps`` decide, ``settings`` are
checked, ``streams`` and ``airbyte`` know what follows from a stream's config and from Airbyte. ``adapters`` are the
world, ``wiring`` puts them together, ``cli`` has a module per command.
"""

__version__ = "0.1.0"
