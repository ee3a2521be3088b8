"""One real, embedded lake under a folder of a test: its raw files, its tables, and the commands run on it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb

from lakeray import wiring
from lakeray.cli.compose import settings_of
from lakeray.cli.main import main
from lakeray.cli.parse import parse
from lakeray.run import feed_all
from lakeray.values.faults import FaultPoint
from lakeray.values.keys import CLAIM
from lakeray.values.model import FeedReport

PROJECT = Path(__file__).parents[3]
_FOREIGN = ("S3_", "AWS_", "DUCKLAKE_", "LAKERAY_", "PG", "OTEL_", "HYDRA_", "RAY_")
"""Variables of the machine that would change what a command does."""
_BOOKKEEPING = {
    "ledger": "source, stream, file_key, etag, size_bytes, row_count, file_day, registered_path",
    "removals": "source, stream, file_key, etag, reason",
    "quarantine": "source, stream, file_key, etag, size_bytes, reason, detail, status",
    "feeder_cursors": "source, stream, cursor_path",
}
"""The bookkeeping, without what another attempt must have different: ids, snapshots, times."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What the command printed with ``output=json``."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it logged with ``output=json``, in order."""
        return events_of(self.err.splitlines())

    def stream(self, name: str) -> dict[str, Any]:
        """The part of the document about one stream, ``klaviyo/metrics``."""
        source, stream = name.split("/")
        return next(s for s in self.document["streams"] if (s["source"], s["stream"]) == (source, stream))


class Lake:
    """A lake at ``root``. ``raw`` may be shared by several lakes: the same files, the same ETags, the same paths."""

    def __init__(self, root: Path, *, raw: Path | None = None) -> None:
        self.root, self.raw = root, raw or root / "raw"
        self.address = self.raw.as_uri()
        """How ``storage.url`` is written."""

    @classmethod
    def new(cls, root: Path, *, extensions: Path, raw: Path | None = None) -> Lake:
        """A lake to be, with DuckDB's extensions in place already."""
        root.mkdir(parents=True)
        (root / "extensions").symlink_to(extensions)
        for claim in raw.rglob(CLAIM) if raw is not None else ():
            claim.unlink()  # whoever worked with these files before is through with them
        return cls(root, raw=raw)

    @property
    def settings(self) -> list[str]:
        """The overrides that make a command work on this lake, its result JSON."""
        return [f"paths.root={self.root}", f"storage.url={self.address}", "output=json"]

    def run(self, *words: str) -> Ran:
        """Run a command line in this process. What tells one lake from another is passed, not inherited."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, plain_environment(), clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            before = set(os.environ)
            code = main([*words, *self.settings])
            left = [name for name in os.environ.keys() - before if name.startswith(("PG", "DBT_", "LAKERAY_"))]
        assert not left, f"variables that children would inherit: {left}"
        return Ran(code=code, out=out.getvalue(), err=err.getvalue())

    def ok(self, *words: str) -> Ran:
        """Run a command that must end well."""
        ran = self.run(*words)
        assert ran.code == 0, f"{words}: exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def document(self, *words: str) -> Any:
        """What a command prints as JSON, however it ends."""
        return self.run(*words).document

    def fed_while(self, *words: str, meanwhile: Mapping[FaultPoint, Callable[[], object]]) -> FeedReport:
        """A feed in this process, somebody else at work in the midst of it: at these points of each batch."""

        def fault(point: FaultPoint) -> None:
            if point in meanwhile:
                meanwhile[point]()

        with patch.dict(os.environ, plain_environment(), clear=True):
            with wiring.opened(settings_of(parse([*words, *self.settings]))) as app:
                watched = dataclasses.replace(
                    app, fault=fault, open_feeders=lambda choice, days: wiring.feeders(watched, choice, days)
                )
                return feed_all(watched, stop=lambda: False)

    def query(self, statement: str, *values: Any) -> list[Row]:
        """The rows of a query, read beside whoever else works on the lake."""
        with self.connection() as connection:
            return connection.execute(statement, list(values) or None).fetchall()

    @contextlib.contextmanager
    def connection(self, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        """The lake as another program sees it."""
        # The same extension files as the program's own: two SQLite libraries in one process drop each other's locks.
        config = {
            "extension_directory": str(self.root / "extensions"),
            "autoinstall_known_extensions": "false",
            "allow_unsigned_extensions": "true",  # checked when they were installed; again costs 0.3 s a connection
        }
        options = f"DATA_PATH '{self.root}/lake/'{', READ_ONLY' if read_only else ''}"
        with duckdb.connect(config=config) as connection:
            connection.execute("LOAD ducklake; LOAD sqlite_scanner; SET TimeZone = 'UTC'")
            connection.execute(f"ATTACH 'ducklake:sqlite:{self.root}/catalog.sqlite' AS lakehouse ({options})")
            yield connection

    def landing(self, stream: str, columns: str = "*") -> list[Row]:
        """Rows of a stream's landing table, sorted."""
        return self._sorted(f"SELECT {columns} FROM lakehouse.staging.stg_{_slug(stream)}")

    def processed(self, stream: str, columns: str = "*") -> list[Row]:
        """Rows of a stream's processed table, sorted."""
        return self._sorted(f"SELECT {columns} FROM lakehouse.main.int_{_slug(stream)}")

    def columns(self, table: str) -> dict[str, str]:
        """The columns and types of a table, ``staging.stg_klaviyo__metrics``."""
        return dict(self.query(f"SELECT column_name, column_type FROM (DESCRIBE lakehouse.{table})"))

    def ledger_keys(self) -> list[str]:
        """The keys of all that was ever taken in, one for every time."""
        return [key for (key,) in self.query("SELECT file_key FROM lakehouse.meta.ledger ORDER BY file_key")]

    def tables(self) -> list[str]:
        """The landing, processed and enriched tables, ``main.fct_sales``."""
        statement = (
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE database_name = 'lakehouse' AND schema_name IN ('staging', 'main') ORDER BY 1"
        )
        return [name for (name,) in self.query(statement)]

    def contents(self) -> dict[str, list[Row]]:
        """All that must be the same after any crash: every table row for row, ledger, removals, quarantine, cursors."""
        return {
            **{name: self._sorted(f"SELECT * FROM lakehouse.{name}") for name in self.tables()},
            **{
                name: self._sorted(f"SELECT {columns} FROM lakehouse.meta.{name}")
                for name, columns in _BOOKKEEPING.items()
            },
        }

    def digests(self) -> dict[str, Row]:
        """Rows and a digest of all their values, by table: for tables that are wide."""
        return {
            name: self.query(f"SELECT count(*), sum(hash(t)::HUGEINT) FROM lakehouse.{name} AS t")[0]
            for name in self.tables()
        }

    def objects(self) -> set[str]:
        """The keys of the raw objects; lakes' claims are none."""
        return {
            str(path.relative_to(self.raw)) for path in self.raw.rglob("*") if path.is_file() and path.name != CLAIM
        }

    def _sorted(self, statement: str) -> list[Row]:
        return sorted(self.query(statement), key=repr)


def plain_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would configure lakeray."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)} | more


def events_of(lines: list[str]) -> list[dict[str, Any]]:
    """The JSON log lines among ``lines``; other libraries may write theirs between."""
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            item = json.loads(line)
            if isinstance(item, dict) and "event" in item:
                found.append(item)
    return found


def _slug(stream: str) -> str:
    return stream.replace("/", "__")
