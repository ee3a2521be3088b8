"""dbt opens the lake as lakeray itself does: one target, whose every value the backend of the catalog says."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.config.renderer import ProfileRenderer
from dbt_common.context import set_invocation_context

from lakeray.adapters.dbt.package import PACKAGE
from lakeray.adapters.ducklake.backends.backend import SETTINGS, Backend, LakePlace, S3Access
from lakeray.adapters.ducklake.backends.postgres.backend import PostgresBackend
from lakeray.adapters.ducklake.backends.sqlite.backend import SqliteBackend
from lakeray.adapters.lease.file import FileLease
from lakeray.adapters.lease.postgres import PostgresLease

ODD = """it's "odd" {{ env_var('HOME') }} \\ $$$ü"""
"""What some way of quoting minds, as a password, a schema and a folder."""
AWS = S3Access(endpoint_url=None, region="eu-west-1", access_key_id=ODD, secret_access_key=ODD, session_token=ODD)
SEAWEED = S3Access(endpoint_url="http://127.0.0.1:8333", region="us-east-1", access_key_id="k", secret_access_key="s")
ANYONE = S3Access(endpoint_url="https://s3.example/", region="x", access_key_id=None, secret_access_key=None)
STORAGES = {"folder": None, "AWS": AWS, "SeaweedFS": SEAWEED, "without keys": ANYONE}
CATALOGS = ("SQLite", "Postgres", "own schema", "without a password")


def backend(catalog: str, storage: str, *, folder: Path, extension_directory: Path) -> Backend:
    place = LakePlace(
        data_path=f"{folder}/{ODD}/",
        extension_directory=extension_directory,
        temp_directory=folder / "tmp",
        memory_bytes=10**8,
        threads=1,
        s3=STORAGES[storage],
    )
    if catalog == "SQLite":
        return SqliteBackend(f"{folder}/{ODD}.sqlite", place=place, lease=lambda **_: FileLease(folder, **_))
    return PostgresBackend(
        "host=db dbname=d user=u sslpassword=hush" if catalog == "own schema" else "host=db dbname=d user=u",
        place=place,
        lease=PostgresLease,
        schema=ODD if catalog == "own schema" else "public",
        password=None if catalog == "without a password" else ODD,
    )


def target(environment: Mapping[str, str]) -> DuckDBCredentials:
    """dbt's one target with this environment, as dbt itself renders it."""
    outputs = yaml.safe_load((PACKAGE / "profiles.yml").read_text(encoding="utf-8"))["lakeray"]["outputs"]
    (output,) = outputs.values()

    def rendered() -> dict[str, Any]:
        set_invocation_context(environment)
        return ProfileRenderer({}).render_data(output)

    values = contextvars.copy_context().run(rendered)
    del values["type"], values["threads"]
    return DuckDBCredentials.from_dict(values)


def kept(statements: list[str], *, extensions: tuple[str, ...], folder: Path) -> list[tuple[Any, ...]]:
    """The secrets that DuckDB has after these statements."""
    config = {"extension_directory": str(folder), "allow_unredacted_secrets": "true"}
    with duckdb.connect(config={**config, "autoinstall_known_extensions": "false"}) as connection:
        for name in extensions:
            connection.execute(f"LOAD {name}")
        for statement in statements:
            connection.execute(statement)
        shown = "SELECT name, type, scope, secret_string FROM duckdb_secrets(redact = false) WHERE type <> 'http'"
        return connection.execute(f"{shown} ORDER BY name").fetchall()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("catalog", CATALOGS)
def test_dbt_attaches_what_lakeray_attaches(
    catalog: str, storage: str, tmp_path: Path, extension_directory: Path
) -> None:
    lake = backend(catalog, storage, folder=tmp_path, extension_directory=extension_directory)
    found = target(lake.dbt_environment())
    assert found.attach is not None
    assert [item.to_sql() for item in found.attach] == [
        lake.attach_statement(read_only=False).replace("ATTACH", "ATTACH IF NOT EXISTS", 1)
    ]
    assert found.extensions == list(lake.extensions)
    assert found.settings == lake.settings
    secrets = [secret.statement() for secret in lake.secrets]
    assert kept(found.secrets_sql(), extensions=lake.extensions, folder=extension_directory) == kept(
        secrets, extensions=lake.extensions, folder=extension_directory
    )
    assert len(secrets) == (storage != "folder") + (catalog in ("Postgres", "own schema"))


def test_by_hand_the_profile_opens_an_embedded_lake(tmp_path: Path, extension_directory: Path) -> None:
    lake = backend("SQLite", "folder", folder=tmp_path, extension_directory=extension_directory)
    needed = ("CATALOG", "ATTACH_OPTIONS", "EXTENSION_DIRECTORY", "TEMP_DIRECTORY")
    given = {
        name: value for name, value in lake.dbt_environment().items() if name.removeprefix("LAKERAY_DBT_") in needed
    }
    found, told = target(given), target(lake.dbt_environment())
    assert len(given) == len(needed) and found == told
    assert found.settings == SETTINGS


def test_no_secret_has_a_name_that_dbt_shows(tmp_path: Path, extension_directory: Path) -> None:
    lake = backend("own schema", "AWS", folder=tmp_path, extension_directory=extension_directory)
    shown = {n: v for n, v in lake.dbt_environment().items() if not n.startswith("DBT_ENV_SECRET_")}
    hidden = {value for secret in lake.secrets for value in secret.hidden.values()}
    assert hidden == {ODD, "hush"}
    assert not [name for name, value in shown.items() if "hush" in value]
    assert "lakeray_catalog" in shown["LAKERAY_DBT_ATTACH_OPTIONS"]
