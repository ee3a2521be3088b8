"""One fenced DuckLake transaction: the only way in which lakeray writes the catalog (P7, P10)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.attempts import AnswerLost
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.values.errors import CatalogError, LeaseLostError


@contextmanager
def fenced(
    connection: duckdb.DuckDBPyConnection, *, token: int, message: str, extra: Mapping[str, str] | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A transaction that touches the lease's row, so that a stale committer cannot commit.

    The block's error rolls back and is raised as it is. A COMMIT after an error inside a DuckLake transaction
    returns without an error though nothing was written; hence the rollback, always.

    Raises:
        LeaseLostError: the token is stale; nothing was written.
        AnswerLost: the COMMIT itself failed.
        CatalogError: the transaction could not begin.
    """
    with connection.cursor() as cursor:
        try:
            cursor.execute("BEGIN TRANSACTION")
            _touch_lease(cursor, token)
        except duckdb.Error as error:
            _rollback(cursor)
            raise CatalogError("the catalog took no transaction", found=first_line(error)) from error
        except LeaseLostError:
            _rollback(cursor)
            raise
        try:
            yield cursor
            cursor.execute(
                "CALL lakehouse.set_commit_message('lakeray', ?, extra_info => ?)", [message, json.dumps(extra or {})]
            )
        except BaseException:
            _rollback(cursor)
            raise
        try:
            cursor.execute("COMMIT")
        except duckdb.Error as error:
            _rollback(cursor)
            raise AnswerLost(first_line(error)) from error


def _touch_lease(cursor: duckdb.DuckDBPyConnection, token: int) -> None:
    row = cursor.execute(sql.load("ducklake/fence"), [token]).fetchone()
    if row is None or row[0] != 1:
        found = cursor.execute("SELECT token, holder FROM lakehouse.meta.committer").fetchone()
        raise LeaseLostError(
            "the lease is lost; nothing was written",
            expected=f"fencing token {token}",
            found="no lease" if found is None else f"token {found[0]}, held by {found[1]}",
            todo="Another committer took over; let it work",
        )


def _rollback(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.execute("ROLLBACK")
    except duckdb.Error:
        return  # a failed COMMIT, or a lost connection, has ended the transaction already
