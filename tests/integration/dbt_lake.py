"""A real DuckLake on SQLite with the project's landing tables and bookkeeping, and its dbt in this process."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from lakeray.adapters.dbt import package, parsed
from lakeray.adapters.ducklake import extensions
from lakeray.adapters.ducklake import sql as named_sql
from lakeray.values.origins import origin

DBT = Path(__file__).parents[2] / "dbt"


@dataclass(frozen=True)
class Project:
    """What the lakes of a test session share: dbt's parsed project and a folder with the DuckDB extensions."""

    manifest: Manifest
    extensions: Path
    folder: Path = DBT

    @classmethod
    def parse(cls, root: Path, *, folder: Path = DBT) -> Project:
        """Install the extensions and parse the dbt project, once."""
        extensions.install(root / "extensions")
        package.link(folder)
        parsed.take_over(folder, target_dir=root / "target")
        with patch.dict(os.environ, parsed.PARSING):
            result = dbtRunner().invoke(_arguments("parse", root=root, folder=folder, variables={}))
        assert isinstance(result.result, Manifest), result.exception
        parsed.keep(folder, target_dir=root / "target")
        return cls(manifest=result.result, extensions=root / "extensions", folder=folder)


class DbtLake:
    """One lake in one directory. Each `sql` call commits by itself; `run` runs dbt against the same catalog."""

    def __init__(self, root: Path, project: Project) -> None:
        """Create the catalog, the bookkeeping and every landing table under `root`."""
        self.root, self.project, self._files = root, project, 0
        for folder in ("data", "raw", "temp"):
            (root / folder).mkdir(parents=True)
        with sqlite3.connect(root / "catalog.sqlite") as catalog:
            catalog.execute("PRAGMA journal_mode = wal")
        self.sql(named_sql.load("ducklake/meta_schema"))
        self.sql("INSERT INTO lakehouse.meta.committer VALUES (7, 'test', now(), 0)")
        landing = [ddl.read_text() for ddl in sorted((DBT / "landing").glob("*/*.sql"))]
        self.sql("\n".join(["BEGIN;", *landing, "COMMIT;"]))

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The test's own connection to the lake, as another process would have one."""
        return self.connect()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A new connection to the lake."""
        connection = duckdb.connect(
            config={"extension_directory": str(self.project.extensions), "autoinstall_known_extensions": "false"}
        )
        connection.execute("LOAD ducklake; LOAD sqlite_scanner; SET TimeZone = 'UTC'")
        connection.execute(f"ATTACH '{self.catalog}' AS lakehouse (DATA_PATH '{self.root}/data/')")
        return connection

    @property
    def catalog(self) -> str:
        """The catalog as ATTACH takes it."""
        return f"ducklake:sqlite:{self.root}/catalog.sqlite"

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement; several statements are fine when they take no values."""
        return self.connection.execute(statement, list(values) or None).fetchall()

    def table(self, name: str, columns: str) -> list[tuple[Any, ...]]:
        """Some columns of a table in schema main, in the order of the first."""
        return self.sql(f"SELECT {columns} FROM lakehouse.main.{name} ORDER BY 1")

    def snapshot(self) -> int:
        """The newest DuckLake snapshot."""
        return int(self.sql("SELECT max(snapshot_id) FROM lakehouse.snapshots()")[0][0])

    def commits(self) -> int:
        """How many commits the lease has counted."""
        return int(self.sql("SELECT sum(commits) FROM lakehouse.meta.committer")[0][0])

    def land(
        self,
        slug: str,
        *rows: Mapping[str, Any],
        extracted_at: str = "2026-01-01 00:00:00Z",
        modified_at: datetime | None = None,
        key: str | None = None,
    ) -> int:
        """Register a Parquet file of `rows` (columns that a row lacks are null) and its ledger row: the snapshot.

        Its object has the key `key` and was written at `modified_at`: when that is not said, later than all before it.
        """
        source, stream = slug.split("__")
        path = self._parquet(slug, rows, extracted_at)
        at = modified_at or datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._files)
        self.sql("BEGIN")
        self.sql("CALL ducklake_add_data_files('lakehouse', ?, ?, schema => 'staging')", f"stg_{slug}", str(path))
        self.sql(
            "INSERT INTO lakehouse.meta.ledger (source, stream, file_key, etag, registered_path)"
            " VALUES (?, ?, ?, 'etag', ?)",
            *(source, stream, key or path.name, str(path)),
        )
        self.sql(
            "INSERT INTO lakehouse.meta.origins VALUES (?, ?, ?, ?)",
            *(source, stream, str(path), origin(key or path.name, at)),
        )
        self.sql("COMMIT")
        return self.snapshot()

    def _parquet(self, slug: str, rows: Sequence[Mapping[str, Any]], extracted_at: str) -> Path:
        self._files += 1
        path = self.root / "raw" / f"part_{self._files}.parquet"
        metadata = {"_airbyte_extracted_at": extracted_at}
        lines = [{**metadata, "_airbyte_raw_id": f"{self._files:04d}-{n:04d}", **row} for n, row in enumerate(rows)]
        path.with_suffix(".json").write_text("\n".join(json.dumps(line) for line in lines))
        types = self.sql(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'lakehouse' AND table_name = ?"
            " ORDER BY column_index",
            f"stg_{slug}",
        )
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types)
        with duckdb.connect() as scratch:
            scratch.execute("SET TimeZone = 'UTC'")
            scratch.execute(
                f"COPY (SELECT * FROM read_json('{path.with_suffix('.json')}', columns = {{{columns}}},"
                f" format = 'newline_delimited')) TO '{path}' (FORMAT parquet)"
            )
        return path

    def run(self, *arguments: str, on_event: Callable[[Any], None] | None = None, **variables: Any) -> dbtRunnerResult:
        """``dbt ARGUMENTS --vars VARIABLES`` in this process, with the session's parsed project."""
        runner = dbtRunner(manifest=self.project.manifest, callbacks=[on_event] if on_event else [])
        with patch.dict(os.environ, environment(self.catalog, self.root, self.project.extensions)):
            return runner.invoke(
                _arguments(*arguments, root=self.root, folder=self.project.folder, variables=variables)
            )

    def build(self, *arguments: str, **variables: Any) -> list[str]:
        """`run`, which must succeed: the names of the models and tests that ran."""
        result = self.run(*arguments, **variables)
        assert result.success, failures(result)
        return [node.node.name for node in nodes(result)]

    def merge(self, slug: str, first: int, last: int | None = None, **more: Any) -> None:
        """Merge the rows of the snapshots `first` to `last` (inclusive) into the stream's processed table."""
        by = {"by": more.pop("by")} if "by" in more else {}
        marks = {slug: {"from": first, "to": last or first, **by}}
        assert self.build("run", "--select", f"tag:{slug}", lakeray_marks=marks, **more) == [f"int_{slug}"]


def nodes(result: dbtRunnerResult) -> list[Any]:
    """The results of the models and tests that a command ran; none when it selected none or did not get to them."""
    return list(result.result) if isinstance(result.result, RunExecutionResult) else []


def failures(result: dbtRunnerResult) -> str:
    """What dbt says went wrong."""
    if result.exception is not None:
        return str(result.exception)
    return "\n".join(str(node.message) for node in nodes(result) if node.status not in ("success", "pass"))


def environment(catalog: str, root: Path, extension_directory: Path) -> dict[str, str]:
    """What the project's profile reads."""
    return {
        "LAKERAY_DBT_CATALOG": catalog,
        "LAKERAY_DBT_ATTACH_OPTIONS": repr({"DATA_PATH": f"'{root}/data/'"}),
        "LAKERAY_DBT_EXTENSION_DIRECTORY": str(extension_directory),
        "LAKERAY_DBT_TEMP_DIRECTORY": f"{root}/temp",
    }


def _arguments(*arguments: str, root: Path, folder: Path, variables: Mapping[str, Any]) -> list[str]:
    paths = {
        "project-dir": folder,
        "profiles-dir": package.profiles_dir(folder),
        "target-path": root / "target",
        "log-path": root / "logs",
    }
    options = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    return [*arguments, *options, "--quiet", "--no-write-json", "--vars", json.dumps(variables)]
