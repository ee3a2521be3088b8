"""dbt's failures as typed errors: each says who has to do something."""

from __future__ import annotations

import pytest

from lakeray.adapters.dbt import failures
from lakeray.adapters.ducklake.duckdb_errors import failed_around
from lakeray.ports.transformer import Node, NodeResult
from lakeray.values.errors import LakerayError


def failure(about: str, failed: list[NodeResult], problem: str | None) -> LakerayError:
    """As the composition root puts it together."""
    return failures.failure(about, failed, problem, failed_around=failed_around)


def node(name: str = "int_shop__orders", kind: str = "model") -> Node:
    return Node(id=f"{kind}.lakeray.{name}", name=name, kind=kind, tags=frozenset(), parents=())


def result(message: str, status: str = "error", of: Node | None = None) -> NodeResult:
    return NodeResult(node=of or node(), status=status, message=message, rows=0, seconds=0.0)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Runtime Error in model x\n  Binder Error: no such column", "transform"),
        ("Runtime Error in model x\n  Invalid Input Error: file is too short to be Parquet", "transform"),
        ("Runtime Error in model x\n  HTTP Error: Unable to read 's3://raw/a' (HTTP 404 Not Found)", "object_gone"),
        ("Runtime Error in model x\n  HTTP Error: GET of 's3://raw/a' failed (HTTP 503 Slow Down)", "storage"),
        (
            "Runtime Error in model x\n  IO Error: Could not establish connection error for HTTP GET to '/raw'",
            "storage_address",
        ),
        ("Runtime Error in model x\n  Out of Memory Error: could not allocate block of 256 KiB", "out_of_memory"),
        (
            "Runtime Error\n  TransactionContext Error: Failed to commit: Failed to commit DuckLake transaction",
            "catalog",
        ),
        ("Runtime Error\n  IO Error: Unable to connect to Postgres at host=db", "catalog"),
        ("Compilation Error\n  the lease with fencing token 3 is gone", "lease_lost"),
    ],
)
def test_the_kind_follows_from_what_duckdb_says(message: str, kind: str) -> None:
    error = failure("shop/orders", [result(message)], None)
    assert error.kind == kind
    assert error.about.startswith("shop/orders: ") and error.todo
    assert kind == "lease_lost" or "int_shop__orders" in error.found


def test_a_failed_test_is_told_from_a_failed_model() -> None:
    test = result("Got 2 results, configured to fail if != 0", "fail", node("unique_int_shop__orders_id", "test"))
    assert failure("shop/orders", [test], None).kind == "test_failed"
    skipped = result("", "skipped", node("fct_sales"))
    assert failure("shop/orders", [test, skipped], None).kind == "test_failed"
    assert failure("shop/orders", [test, result("Parser Error: syntax")], None).kind == "transform"


def test_dbt_that_never_got_to_the_models_says_why() -> None:
    error = failure("shop/orders", [], "the profile is missing\nsecond\nthird\nfourth")
    assert (error.kind, error.found) == ("transform", "the profile is missing second third")
    assert failure("shop/orders", [], None).found == "no reason given"
