"""Audit: where storage, ledger and catalog disagree, each disagreement by its kind (P2, P13, P14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from lakeray.steps.audit import (
    Finding,
    FindingKind,
    audit,
    gone_files,
    leftovers,
    refused_config,
    row_findings,
    without_config,
)
from lakeray.values.errors import UsageError
from lakeray.values.model import LedgerEntry, LiveFile, RegisteredPath, RowWarning, SourceFile, StreamName

STREAM = StreamName("shop", "orders")
KEY = f"{STREAM}/year=2026/month=01/day=01/part_0.parquet"
PATH = f"s3://raw/{KEY}"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ENTRY = LedgerEntry(
    key=KEY,
    etag="e",
    size_bytes=5,
    rows=3,
    day=date(2026, 1, 1),
    batch_id="b",
    commit_id="c",
    snapshot=7,
    registered_path=PATH,
    taken_at=NOW,
)
REGISTERED = RegisteredPath(path=PATH, times=1, rows=3)
OBJECT = SourceFile(key=KEY, etag="e", size_bytes=5, last_modified=NOW)


def audited(
    *,
    ledger: tuple[LedgerEntry, ...] = (ENTRY,),
    registered: tuple[RegisteredPath, ...] = (REGISTERED,),
    objects: tuple[SourceFile, ...] = (OBJECT,),
    transformed_snapshot: int = 7,
) -> list[tuple[FindingKind, str]]:
    found = audit(
        STREAM,
        ledger=ledger,
        registered=registered,
        objects={item.key: item for item in objects},
        transformed_snapshot=transformed_snapshot,
    )
    assert all(item.stream == STREAM and item.detail for item in found)
    return [(item.kind, item.path) for item in found]


def test_what_agrees_has_no_finding() -> None:
    assert audited() == []
    assert audited(ledger=(), registered=(), objects=()) == []


def test_an_object_that_nobody_took_in_is_none_of_the_audits_business() -> None:
    assert audited(objects=(OBJECT, replace(OBJECT, key=f"{STREAM}/new.parquet"))) == []


@pytest.mark.parametrize(
    ("changes", "kind", "path"),
    [
        ({"objects": ()}, FindingKind.GONE, KEY),
        ({"objects": (replace(OBJECT, etag="other"),)}, FindingKind.CHANGED, KEY),
        ({"objects": (replace(OBJECT, size_bytes=6),)}, FindingKind.CHANGED, KEY),
        ({"registered": ()}, FindingKind.NOT_REGISTERED, KEY),
        ({"registered": (replace(REGISTERED, rows=4),)}, FindingKind.ROWS_DIFFER, KEY),
        ({"ledger": (), "objects": ()}, FindingKind.NOT_IN_LEDGER, PATH),
        ({"registered": (replace(REGISTERED, times=2, rows=6),)}, FindingKind.TWICE, PATH),
        ({"transformed_snapshot": 6}, FindingKind.NOT_TRANSFORMED, KEY),
    ],
)
def test_each_disagreement_is_told_by_its_kind(changes: dict[str, object], kind: FindingKind, path: str) -> None:
    assert audited(**changes) == [(kind, path)]  # type: ignore[arg-type]


def test_several_disagreements_about_one_file_are_all_told() -> None:
    found = audited(registered=(replace(REGISTERED, times=2, rows=5),), objects=(), transformed_snapshot=0)
    assert [kind for kind, _ in found] == [
        FindingKind.ROWS_DIFFER,
        FindingKind.GONE,
        FindingKind.NOT_TRANSFORMED,
        FindingKind.TWICE,
    ]


def test_a_leftover_is_old_and_unknown_by_its_name() -> None:
    def file(key: str, *, hours: int) -> SourceFile:
        return SourceFile(key=key, etag="e", size_bytes=1_500, last_modified=NOW - timedelta(hours=hours))

    files = [
        file("main/t/ducklake-known.parquet", hours=9),
        file("main/t/ducklake-young.parquet", hours=1),
        file("main/t/ducklake-at-the-bound.parquet", hours=2),
        file("main/t/ducklake-left.parquet", hours=3),
    ]
    found = leftovers(
        files,
        known_paths=["t/ducklake-known.parquet"],
        before=NOW - timedelta(hours=2),
        url=lambda key: f"/lake/{key}",
    )
    assert found == (
        Finding(
            kind=FindingKind.LEFTOVER, stream=None, path="/lake/main/t/ducklake-left.parquet", detail="1,500 bytes"
        ),
    )


def test_a_file_without_rows_is_taken_in_and_not_registered() -> None:
    assert audited(ledger=(replace(ENTRY, rows=0),), registered=()) == []
    assert audited(registered=()) == [(FindingKind.NOT_REGISTERED, KEY)]


def test_files_that_a_table_needs_and_storage_lost_are_told_by_their_stream_if_they_can_be_made_again() -> None:
    live = [
        LiveFile(schema="staging", table=STREAM.landing_table, path="s3://lake/converted/x/copy.parquet"),
        LiveFile(schema="staging", table="stg_of_nobody", path="s3://lake/converted/x/other.parquet"),
        LiveFile(schema="main", table=STREAM.processed_table, path="lost.parquet"),
        LiveFile(schema="main", table=STREAM.processed_table, path="there.parquet"),
    ]
    found = gone_files(live, there=["main/int_x/there.parquet"], streams=[STREAM])
    assert [(item.kind, item.stream, item.path) for item in found] == [
        (FindingKind.DATA_FILE_GONE, STREAM, live[0].path),
        (FindingKind.DATA_FILE_GONE, None, live[1].path),
        (FindingKind.DATA_FILE_GONE, None, live[2].path),
    ]
    assert f"main.{STREAM.processed_table} needs it" in found[2].detail


def test_what_merges_had_to_say_of_rows_is_told_by_file_of_this_stream_alone() -> None:
    kinds = [
        (STREAM.processed_table, "without_key"),
        (STREAM.processed_table, "cursor_breaks"),
        ("int_own", "without_key"),
    ]
    warned = [RowWarning(table=table, kind=kind, path=PATH, rows=1200) for table, kind in kinds]
    found = row_findings(STREAM, [*warned, replace(warned[0], kind="of a later version")])
    assert [(item.kind, item.path, item.detail.split()[0]) for item in found] == [
        (FindingKind.WITHOUT_KEY, PATH, "1,200"),
        (FindingKind.CURSOR_BREAKS, PATH, "1,200"),
    ]


def test_streams_that_no_config_names_are_told() -> None:
    gone, there = StreamName("shop", "gone"), StreamName("shop", "there")
    (found,) = without_config([there, gone], configured=[there, StreamName("shop", "new")])
    assert (found.kind, found.stream, found.path) == (FindingKind.WITHOUT_STREAM, None, "staging.stg_shop__gone")
    assert "lakeray drop-stream shop/gone" in found.detail


def test_a_config_that_is_refused_is_a_finding_that_names_the_file_and_the_key() -> None:
    found = refused_config(StreamName("shop", "bad"), UsageError("streams.shop__bad.x", found="nothing"))
    assert (found.kind, found.path) == (FindingKind.CONFIG_REFUSED, "conf/stream/shop/bad.yaml")
    assert found.detail == "streams.shop__bad.x; found nothing"
