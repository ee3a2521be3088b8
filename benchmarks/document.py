"""docs/performance.md, from benchmarks/results/*.json: ``python -m benchmarks.document``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT

PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"
_INTRODUCTION = """\
# Performance

Written by `python -m benchmarks.document` from `benchmarks/results/*.json`, which `make bench` writes; never by hand.
Compare within a table, not between tables: each is one run on one machine, and the machine is named under it.
"""
_CONTENDERS = {
    "per_file_loop": "`ducklake_add_data_files`, a call per file",
    "list_call": "`ducklake_add_data_files`, one call with a list",
    "glob_call": "`ducklake_add_data_files`, one call with a pattern, 64 threads",
    "pyiceberg_add_files": "PyIceberg `add_files`",
    "lakeray_extension": "lakeray, `lake.writer=extension`",
    "lakeray_catalog": "lakeray, `lake.writer=catalog`",
}
_OPERATIONS = {
    "commit_1000_files_s": "commit of 1,000 files, inside the committer",
    "discovery_s": "discovery: books and listing",
    "status_s": "`status`, which lists everything",
    "clean_planning_s": "planning a clean-up of 1,000 files",
    "clean_dry_run_s": "looking for snapshots to expire",
    "remove_1000_files_s": "taking 1,000 files out of landing",
    "expire_1000_files_s": "expiring them, and deleting their objects",
    "landing_scan_planning_s": "finding the files of a filtered scan of landing, DuckLake's own work",
    "table_insertions_planning_s": "finding the files that dbt reads, DuckLake's own work",
    "table_insertions_s": "reading the 1,000 files that dbt reads",
}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(RESULTS), encoding="utf-8")


def page(results: Path) -> str:
    """The whole page: a section per result file, known ones with their own tables."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]
    order = list(_SECTIONS)
    documents.sort(key=lambda one: order.index(one["suite"]) if one["suite"] in order else len(order))
    return "\n".join([_INTRODUCTION, *(_section(document) for document in documents)])


def _section(document: Mapping[str, Any]) -> str:
    title, body = _SECTIONS.get(document["suite"], (document["suite"], _plain))
    lines = [f"## {title}", "", *body(document["results"]), "", _measured_on(document["machine"]), ""]
    return "\n".join(lines)


def _measured_on(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"<sub>{machine['at']}, commit {machine['commit']}: {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"load {machine['load_before']:.1f}, Python {machine['python']}, {versions}</sub>"
    )


def _registration(results: Mapping[str, Any]) -> Iterator[str]:
    cells = results["cells"]
    yield (
        f"`{results['stream']}`: {results['leaf_columns']} leaf columns, {results['rows_per_file']} rows and "
        f"{results['bytes_per_file']:,} bytes a file. Files per second, by the round trip to the object store and to "
        "Postgres. lakeray's are from the listing to the last batch landed, the others' without any listing."
    )
    yield ""
    heads = [f"{cell['storage_ms']} ms / {cell['postgres_ms']} ms" for cell in cells]
    names = list(cells[0]["contenders"])
    yield from _table(
        ["", *heads],
        ([_CONTENDERS[name], *(_rate(cell["contenders"][name]) for cell in cells)] for name in names),
    )
    yield ""
    yield "Serialized milliseconds per file, spent where no other writer can work:"
    yield ""
    told = [name for name in names if "serialized_ms_per_file" in cells[0]["contenders"][name]]
    yield from _table(
        ["", *heads],
        (
            [_CONTENDERS[name], *(_number(cell["contenders"][name]["serialized_ms_per_file"]) for cell in cells)]
            for name in told
        ),
    )
    yield ""
    ours = next(name for name in reversed(names) if name.startswith("lakeray_"))
    yield f"How many times as fast {_CONTENDERS[ours]} is:"
    yield ""
    others = [name for name in names if not name.startswith("lakeray_")]
    yield from _table(
        ["than", *heads],
        ([_CONTENDERS[name], *(_number(cell["ratios"][f"{ours} / {name}"]) for cell in cells)] for name in others),
    )


def _embedded(results: Mapping[str, Any]) -> Iterator[str]:
    yield "SQLite catalog and files on this machine (`env=local`), from the listing to the last batch landed."
    yield ""
    yield from _table(
        ["stream", "leaf columns", "files per second", "serialized ms per file", "with DuckLake's call"],
        (
            [
                f"`{one['stream']}`",
                _number(one["leaf_columns"]),
                _rate(one["lakeray_auto"]),
                _number(one["lakeray_auto"]["serialized_ms_per_file"]),
                _rate(one["lakeray_extension"]),
            ]
            for one in results.values()
        ),
    )


def _rate(contender: Mapping[str, Any]) -> str:
    return f"{_number(contender['files_per_s'])} ({contender['files']:,} files)"


def _scale(results: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"`{results['stream']}`, `lake.writer={results['writer']}`, {results['files_per_batch']:,} files a batch; "
        "a real Postgres and SeaweedFS without delay. Seconds, and the growth over the smallest lake. The "
        "files that a feed looks back at are always 1,000; what grows lies behind."
    )
    yield ""
    sizes = results["sizes"]
    heads = [f"{size['registered_files']:,} files" if size["registered_files"] else "empty" for size in sizes]
    yield from _table(
        ["", *heads],
        (
            [
                _OPERATIONS.get(name, name),
                *(f"{_number(size['seconds'][name])} (×{_number(size['growth'][name])})" for size in sizes),
            ]
            for name in sizes[0]["seconds"]
        ),
    )


def _transform(results: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Batches of {results['batch_rows']:,} rows ({results['batch_bytes'] / 1e6:,.0f} MB of Parquet) and a table of "
        f"{results['table_rows']:,} rows, files on this machine; medians of {results['runs']} runs. The copy reads, "
        "casts and writes the same rows with DuckDB alone. CPU time is of all threads, and steadier where the machine "
        "has other work."
    )
    yield ""
    rows = []
    for name, label in (("unique", "no key twice"), ("repeated", "20 % of the keys twice")):
        found = results["beside_copy"][name]
        for what, words in (("merge", "merge into an empty table"), ("build", "first build")):
            seconds = found[f"{what}_s"] if what == "build" else found[f"{what}_s"]["median"]
            rows.append([f"{words}, {label}", seconds, found["copy_s"]["median"], found[f"{what}_to_copy"]])
    yield from _compared("the copy", rows)
    yield ""
    big = results["into_big"]
    yield from _compared(
        "the merge into an empty table",
        [
            [words, big[f"{name}_s"]["median"], big["empty_s"]["median"], big[f"{name}_to_empty"]]
            for name, words in (
                ("recent", "merge that updates the newest records"),
                ("random", "merge that updates records all over the table"),
            )
        ],
    )
    yield ""
    if "random_again_s" in big:
        yield (
            "Each run fills the table anew. More batches of random updates into the same table, one after the other: "
            f"{', '.join(_number(seconds) for seconds in big['random_again_s'])} s, since DuckLake writes the list of "
            "a file's deleted rows anew each time (ADR 0014)."
        )
        yield ""
    yield (
        f"A batch of 100 rows spends {_value(results['outside_duckdb_s'])} seconds outside DuckDB and "
        f"{_value(results['inside_duckdb_s'])} inside it."
    )


def _compared(with_what: str, rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    yield from _table(
        ["", "s", f"{with_what}, s", "ratio", "ratio of CPU time"],
        (
            [words, _number(ours), _number(other), _number(ratio["wall_s"]), _number(ratio["cpu_s"])]
            for words, ours, other, ratio in rows
        ),
    )


def _end_to_end(results: Mapping[str, Any]) -> Iterator[str]:
    plain, ours = results["plain"], results["lakeray"]
    yield (
        f"`{results['stream']}`: {results['files']:,} files of {results['rows_per_file']} rows, "
        f"{results['bytes'] / 1e6:,.0f} MB, {results['storage_ms']} ms from the object store and "
        f"{results['postgres_ms']} ms from Postgres, both real. Whole processes, from the raw files to a processed "
        f"table of {results['processed_rows']:,} rows, every column the same in both at the end. The plain design "
        "(`benchmarks/plain_feed.py`) registers file by file and runs `dbt run` as a process, one after the other."
    )
    yield ""
    yield from _table(
        ["", "batches", "seconds"],
        [
            [
                f"plain design ({_number(plain['register_s'])} s registering, {_number(plain['dbt_s'])} s dbt)",
                str(plain["batches"]),
                _number(plain["seconds"]),
            ],
            ["`lakeray feed`", str(ours["batches"]), _number(ours["seconds"])],
            ["**times as fast**", "", f"**{_number(results['plain_to_lakeray'])}**"],
        ],
    )


def _batch_sizing(results: Mapping[str, Any]) -> Iterator[str]:
    found = results["recommendation"]
    yield (
        f"At least {results['volume_mb']:,} MB a cell, files and SQLite catalog on this machine, each cell a process "
        "of its own after a first batch; `sample`'s rows, uncompressed as Airbyte writes them. Narrow is "
        "`klaviyo/metrics`, json `klaviyo/events`, wide `shopify/orders`. "
        "The peak is the whole process's (VmHWM), with so much memory "
        "allowed that nothing spills."
    )
    yield ""
    yield "![Throughput, peak memory and dbt's share by target](../benchmarks/results/batch_sizing.svg)"
    yield ""
    yield from _table(
        ["rows", "files of", "target", "batches", "MB/s", "peak, MB", "commit", "dbt"],
        (
            [
                cell["width"],
                f"{cell['file_mb']} MB",
                f"{cell['target_mb']:,} MB",
                str(cell["batches"]),
                _number(cell["mb_per_s"]),
                f"{cell['peak_mb']:,}",
                f"{_number(cell['commit_percent'])} %",
                f"{_number(cell['dbt_percent'])} %",
            ]
            for cell in results["cells"]
        ),
    )
    yield ""
    shares = ", ".join(f"{target} MB {share:.0%}" for target, share in found["relative_throughput"].items())
    yield (
        f"Recommended for this machine: **{found['target_mb']:,} MB**, the smallest target with {found['enough']:.0%} "
        f"of the best throughput and a peak within half of the machine's memory. Of the best throughput: {shares}."
    )


def _memory(results: Mapping[str, Any]) -> Iterator[str]:
    ratio = results["projected_to_peak"]
    yield (
        f"{results['uncompressed_to_allowed']} × the memory that is allowed: {results['allowed_bytes']:,} bytes, and "
        f"{results['reserved_bytes']:,} reserved. Resident memory is read from /proc all the while, of every process."
    )
    yield ""
    files = (
        [
            f"`{name}`",
            f"{made['files']:,}",
            f"{made['rows']:,}",
            f"{made['stored_bytes']:,}",
            f"{made['uncompressed_bytes']:,}",
        ]
        for name, made in results["streams"].items()
    )
    yield from _table(["stream", "files", "rows", "bytes stored", "bytes uncompressed"], files)
    yield ""
    yield from _table(
        ["", ""],
        [
            ["highest resident bytes of a process", f"{results['highest_resident_bytes']:,}"],
            ["of allowed + reserved", _number(results["highest_to_allowed_and_reserved"])],
            ["merges", f"{results['merges']:,}"],
            ["that ran out of memory", f"{results['out_of_memory']:,}"],
            ["share with projected ≥ peak", _number(results["projected_at_least_peak"])],
            ["projected / peak", f"{_number(ratio['median'])} ({_number(ratio['min'])} to {_number(ratio['max'])})"],
            ["seconds", _number(results["feed_s"])],
        ],
    )


def _pipeline(results: Mapping[str, Any]) -> Iterator[str]:
    first = next(iter(results.values()))
    yield (
        f"`{first['stream']}`: {first['files']:,} files, {first['rows']:,} rows, {first['batches']} batches. Busy is "
        "the share of the time between the committer's first work and its last in which it worked; the trace of every "
        "commit and transform is in the results."
    )
    yield ""
    yield from _table(
        ["executor", "committer at work, s", "of, s", "busy"],
        (
            [name, _number(one["committer_busy_s"]), _number(one["committer_s"]), f"{one['committer_busy_share']:.1%}"]
            for name, one in results.items()
        ),
    )


def _plain(results: Mapping[str, Any]) -> Iterator[str]:
    yield from _table(["", ""], ([f"`{name}`", _value(value)] for name, value in _flat(results)))


def _flat(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and set(value) != {"min", "median", "max", "runs"}:
        for name, item in value.items():
            yield from _flat(item, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value):
            yield from _flat(item, f"{at}[{number}]")
    else:
        yield at, value


def _value(value: Any) -> str:
    if isinstance(value, dict):
        low, middle, high = (_number(value[name]) for name in ("min", "median", "max"))
        return f"{middle} ({low} to {high}, {value['runs']} runs)"
    return _number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _number(value: float) -> str:
    """Three digits that count, and no more."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' if number == 0 else '---:' for number in range(len(heads)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


_SECTIONS: dict[str, tuple[str, Callable[[Mapping[str, Any]], Iterator[str]]]] = {
    "registration": ("Registering files", _registration),
    "registration_orders": ("Registering files of a wide stream", _registration),
    "embedded": ("Registering files on the embedded lake", _embedded),
    "scale": ("A lake that grows", _scale),
    "transform": ("Transforming a batch", _transform),
    "end_to_end": ("From raw files to the processed table", _end_to_end),
    "batch_sizing": ("The size of a batch", _batch_sizing),
    "memory": ("A backfill in little memory", _memory),
    "pipeline": ("How busy the committer is", _pipeline),
    "noop": ("A feed with nothing new", _plain),
    "versions": ("This version beside an earlier one, CPU seconds of the process tree", _plain),
    "executor": ("Reading footers inline and on Ray", _plain),
}


if __name__ == "__main__":
    main()
