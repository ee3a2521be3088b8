"""What ``connect`` prints holds no secret, and names each variable that it needs."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from lakeray.cli.snippets import KINDS
from lakeray.ports.queries import LakeAddress, S3Address

EMBEDDED = LakeAddress(
    extensions=("ducklake", "sqlite_scanner"),
    extension_directory="/it's/extensions",
    duckdb_version="1.5.5",
    settings={"TimeZone": "UTC"},
    attach="ATTACH 'ducklake:sqlite:/a ''b'' \\ \"c\"' AS lakehouse (READ_ONLY)",
    asks_password=False,
    s3=None,
)
SERVED = LakeAddress(
    extensions=("ducklake", "postgres_scanner", "httpfs"),
    extension_directory="/extensions",
    duckdb_version="1.5.5",
    settings={},
    attach="ATTACH 'ducklake:postgres:dbname=x' AS lakehouse (READ_ONLY)",
    asks_password=True,
    s3=S3Address(shown={"endpoint": "e:1", "region": "r"}, has_token=True),
)


@pytest.mark.parametrize("kind", KINDS)
def test_an_embedded_lake_needs_no_variable(kind: str) -> None:
    text = KINDS[kind](EMBEDDED)
    assert "PGPASSWORD" not in text and "SECRET" not in text and "ACCESS_KEY" not in text


@pytest.mark.parametrize("kind", ["duckdb", "python", "jdbc"])
def test_each_variable_is_named(kind: str) -> None:
    text = KINDS[kind](SERVED)
    for name in ("PGPASSWORD", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_SESSION_TOKEN"):
        assert name in text
    without = KINDS[kind](replace(SERVED, s3=S3Address(shown={}, has_token=False)))
    assert "S3_SESSION_TOKEN" not in without


def test_dbeaver_gets_its_keys_from_awss_variables() -> None:
    text = KINDS["dbeaver"](SERVED)
    assert "AWS_ACCESS_KEY_ID" in text and "PROVIDER credential_chain" in text and "PGPASSWORD" in text


def test_python_is_python_and_quotes_what_it_repeats() -> None:
    told = [node.value for node in ast.walk(ast.parse(KINDS["python"](EMBEDDED))) if isinstance(node, ast.Constant)]
    assert EMBEDDED.attach in told and "SET extension_directory = '/it''s/extensions'" in told
    ast.parse(KINDS["python"](SERVED))


def test_java_quotes_what_it_repeats() -> None:
    assert """ATTACH 'ducklake:sqlite:/a ''b'' \\\\ \\"c\\"' AS lakehouse""" in KINDS["jdbc"](EMBEDDED)
