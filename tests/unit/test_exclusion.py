"""What `exclude` names is never taken, at any depth, whatever the policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from lakeray.run import feed_all
from lakeray.steps import validate
from lakeray.values.column_types import parse_type
from lakeray.values.errors import ContractError, UsageError
from lakeray.values.exclusion import held, pruned
from lakeray.values.model import Accepted, Column, Contract, Footer, OnNewColumn, Rejected, RejectReason, SourceFile
from tests.support.fakes.application import ORDERS, MemoryApplication
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM, content, row
from tests.support.fakes.settings import settings

FILE = SourceFile(key="k", etag="e", size_bytes=1, last_modified=datetime(2026, 1, 1, tzinfo=UTC))


def columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column(name=name, type=parse_type(kind)) for name, kind in types.items())


@pytest.mark.parametrize(
    ("kind", "path", "left"),
    [
        ("VARCHAR", "it", None),
        ("VARCHAR", "IT", None),
        ("VARCHAR", "item", "VARCHAR"),
        ("STRUCT(a BIGINT, email VARCHAR)", "it.Email", "STRUCT(a BIGINT)"),
        ("STRUCT(email VARCHAR)", "it.email", None),
        ("STRUCT(a STRUCT(email VARCHAR, b BIGINT)[])[]", "it.a.email", "STRUCT(a STRUCT(b BIGINT)[])[]"),
        ("STRUCT(email VARCHAR)[]", "it.email", None),
        ("MAP(VARCHAR, STRUCT(email VARCHAR, b BIGINT))", "it.email", None),  # a key that may hide one
        ("MAP(BIGINT, STRUCT(email VARCHAR, b BIGINT))", "it.email", "MAP(BIGINT, STRUCT(b BIGINT))"),
        ("VARCHAR", "it.email", None),
        ("JSON", "it.email", None),
        ("BIGINT", "it.email", "BIGINT"),
        ("STRUCT(type VARCHAR, object STRUCT(email VARCHAR, b BIGINT), integer BIGINT)", "it.email",
         "STRUCT(type VARCHAR, object STRUCT(b BIGINT), integer BIGINT)"),
        ("STRUCT(type VARCHAR, object VARCHAR)", "it.email", "STRUCT(type VARCHAR)"),
        ("STRUCT(type VARCHAR, title VARCHAR, email VARCHAR)", "it.email", "STRUCT(type VARCHAR, title VARCHAR)"),
    ],
)  # fmt: skip
def test_a_path_takes_its_field_out_at_any_depth(kind: str, path: str, left: str | None) -> None:
    found = pruned(columns(it=kind, other="BIGINT"), [path])
    assert found == columns(**({"it": left} if left else {}), other="BIGINT")
    assert held(columns(it=kind, other="BIGINT"), [path]) == (() if left == kind else ("it",))


CONTRACT = Contract(
    columns=columns(id="BIGINT", who="STRUCT(name VARCHAR)"), primary_key=("id",), excluded=("email", "who.email")
)
FOOTER = Footer(
    rows=1,
    row_groups=1,
    columns=columns(id="BIGINT", who="STRUCT(name VARCHAR, email VARCHAR)", email="VARCHAR", more="BIGINT"),
    compressed_bytes=1,
    uncompressed_bytes=1,
)


@pytest.mark.parametrize("policy", OnNewColumn)
def test_whatever_the_policy_for_new_columns_an_excluded_one_is_none(policy: OnNewColumn) -> None:
    footer = replace(FOOTER, columns=FOOTER.columns[:3])
    found = validate.verdict(FILE, footer, replace(CONTRACT, on_new_column=policy))
    assert isinstance(found, Accepted)
    assert (found.new_columns, found.grown, found.left_out, found.casts) == ((), (), (), ())
    assert found.whole == footer.columns and found.footer.columns == CONTRACT.columns


def test_what_is_not_excluded_is_looked_at_as_ever() -> None:
    found = validate.verdict(FILE, FOOTER, CONTRACT)
    assert isinstance(found, Accepted) and found.new_columns == columns(more="BIGINT")
    plain = replace(FOOTER, columns=CONTRACT.columns)
    found = validate.verdict(FILE, plain, CONTRACT)
    assert isinstance(found, Accepted) and found.whole is None
    twins = replace(FOOTER, columns=(*FOOTER.columns, *columns(EMAIL="VARCHAR")))
    found = validate.verdict(FILE, twins, CONTRACT)
    assert isinstance(found, Rejected) and found.reason is RejectReason.DUPLICATE_COLUMN
    found = validate.verdict(FILE, replace(FOOTER, columns=FOOTER.columns[1:]), CONTRACT)
    assert isinstance(found, Rejected) and found.reason is RejectReason.MISSING_KEY_COLUMN


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("id", "id"),
        ("_airbyte_raw_id", "which lakeray merges by"),
        (".", "'.'"),
        ("note.email", "one into note"),
    ],
)
def test_what_cannot_be_left_out_is_refused(path: str, found: str) -> None:
    fields = {"id": "BIGINT", "note": "VARCHAR", "who": "STRUCT(email VARCHAR)"}
    stream = settings(streams={STREAM.slug: {**ORDERS, "primary_key": ["id"], "cursor_field": None, "fields": fields}})
    made = stream.streams[STREAM.slug]
    with pytest.raises(UsageError, match=rf"streams\.{STREAM.slug}\.exclude") as refused:
        replace(made, exclude=(path,)).landing_contract()
    assert found in refused.value.found
    left = replace(made, exclude=("who.email", "note", "not.there")).landing_contract()
    assert [column.name for column in left.columns if not column.name.startswith("_airbyte")] == ["id"]
    assert left.excluded == ("who.email", "note", "not.there")


def test_tables_that_hold_it_already_are_not_fed_any_further() -> None:
    lake = MemoryApplication()
    lake.world.put(key_for(date(2026, 3, 30)), row(1))
    assert not feed_all(lake.open(), stop=lambda: False).failed
    name = "value"
    excluding = replace(lake.settings.streams[STREAM.slug], exclude=(name,))
    lake.configure(streams={STREAM.slug: excluding})
    lake.world.put_bytes(key_for(date(2026, 3, 31)), content([row(2)]))
    (report,) = feed_all(lake.open(), stop=lambda: False).streams
    assert report.error is not None and report.error["found"] == name
    assert "drop-stream" in report.error["todo"]


def test_a_new_stream_never_gets_it() -> None:
    name = "value"
    lake = MemoryApplication(streams={STREAM.slug: {**ORDERS, "exclude": [name]}})
    lake.world.put(key_for(date(2026, 3, 30)), row(1))
    assert not feed_all(lake.open(), stop=lambda: False).failed
    assert name not in (lake.open().reader.landing_columns(STREAM) or {})


def test_a_contract_without_it_says_nothing() -> None:
    validate.require_excluded(STREAM, replace(CONTRACT, excluded=()), {"email": "VARCHAR"})
    with pytest.raises(ContractError):
        validate.require_excluded(STREAM, CONTRACT, {"id": "BIGINT", "email": "VARCHAR"})
