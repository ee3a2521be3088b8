"""What the order's own column, ``_lakeray_origin``, costs a merge: the rows that dbt writes, with it and without.

The statement is the one that dbt sent to DuckDB for a batch without repeated keys; it is run again as a copy into
Parquet, in turn as it is and without the join of the origins. Of the other statements of a merge none reads the origins
unless rows are level. Run alone: ``python -m benchmarks.origin_columns [ROWS]``, by default a batch of a million rows.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from unittest.mock import patch

from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper

from benchmarks.report import keep, spread
from benchmarks.transform import Bench, Cost

_PAIRS = 7
_JOIN = re.compile(r" left join temp\.(lakeray_origins_\w+) as origins on origins\.path = came\._lakeray_path")
_COLUMN = ", origins.origin as _lakeray_origin"
_PATH = ", filename as _lakeray_path"


def main() -> None:
    """Measure, and keep the result."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        (Path(folder) / "tmp").mkdir()
        bench = Bench(Path(folder))
        files = bench.files("n", rows=rows)
        bench.transform("unique", files)
        bench.lake.execute("DELETE FROM lakehouse.main.int_bench__unique")
        with _heard() as statements:
            merge = bench.transform("unique", files)
        keep("origin_columns", {"rows": rows, "pairs": _PAIRS, **_compared(bench, _written(statements), merge)})


@contextmanager
def _heard() -> Iterator[list[str]]:
    """The statements that dbt sends to DuckDB."""
    heard: list[str] = []
    execute = DuckDBCursorWrapper.execute

    def hearing(cursor: DuckDBCursorWrapper, statement: str, bindings: object = None) -> object:
        heard.append(statement)
        return execute(cursor, statement, bindings)

    with patch.object(DuckDBCursorWrapper, "execute", hearing):
        yield heard


def _written(statements: list[str]) -> str:
    """The query of the statement that writes the rows with their origins."""
    (statement,) = [text for text in statements if re.search(r"\binsert into\b", text) and _JOIN.search(text)]
    return statement[re.search(r"\)\s*select\b", statement, re.IGNORECASE).start() + 1 :].rstrip("; \n")  # type: ignore[union-attr]


def _compared(bench: Bench, query: str, merge: Cost) -> dict[str, object]:
    table = _JOIN.findall(query)[0]
    origins = "SELECT registered_path AS path, max(origin) AS origin FROM lakehouse.meta.origins GROUP BY ALL"
    bench.lake.execute(f"CREATE TEMP TABLE {table} AS {origins}")
    without = _JOIN.sub("", query).replace(_COLUMN, "").replace(_PATH, "")
    without = without.replace("exclude (_lakeray_path)", "").replace(', "_lakeray_origin"', "")
    assert "_lakeray_" not in without, without
    costs: dict[str, list[Cost]] = {"with": [], "without": []}
    for number in range(_PAIRS + 1):
        turn = [("with", query), ("without", without)]
        for name, text in turn if number % 2 else reversed(turn):
            target = f"COPY ({text}) TO '{bench.root}/copy.parquet' (FORMAT parquet)"
            cost = Cost.of(lambda statement=target: bench.lake.execute(statement))  # type: ignore[misc]
            if number:  # the first pair is for the pages of the files
                costs[name].append(cost)
    cpu = {name: [cost.cpu_s for cost in found] for name, found in costs.items()}
    extra = [one - other for one, other in zip(cpu["with"], cpu["without"], strict=True)]
    return {
        "with_cpu_s": spread(cpu["with"]),
        "without_cpu_s": spread(cpu["without"]),
        "extra_cpu_s": spread(extra),
        "merge_cpu_s": round(merge.cpu_s, 2),
        "extra_of_writing": round(median(extra) / median(cpu["without"]), 4),
        "extra_of_merge": round(median(extra) / (merge.cpu_s - median(extra)), 4),
    }


if __name__ == "__main__":
    main()
