"""Events: stable names and flat fields, for logs that scripts match on."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import replace

import pytest

from lakeray.values import events
from lakeray.values.events import BatchTransformed, CursorBroken, CursorTypeKept, Event, ModelRan, RowsLeftOut
from lakeray.values.model import BuildResult, CommitterWork, ModelRun, PendingTransform, RowsFound, StreamName

ALL = sorted(
    (
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    ),
    key=lambda kind: kind.__name__,
)
SAMPLES = {"str": "text", "int": 1, "float": 1.5, "bool": True}


def sample(cls: type[Event]) -> Event:
    return cls(**{item.name: SAMPLES[str(item.type)] for item in dataclasses.fields(cls)})


def test_the_names_are_these_and_no_others() -> None:
    assert [sample(cls).name for cls in ALL] == [
        "batch_committed",
        "batch_transformed",
        "committer_worked",
        "cursor_broken",
        "cursor_type_kept",
        "executor_chosen",
        "fields_left_out",
        "file_rejected",
        "files_cleaned",
        "files_reread",
        "files_reregistered",
        "generation_replaced",
        "landing_changed",
        "model_ran",
        "models_enriched",
        "noted",
        "objects_dropped",
        "rows_left_out",
        "sample_file_written",
        "stream_finished",
        "stream_planned",
        "stream_started",
        "table_rebuilt",
        "transform_split",
    ]


def test_what_dbt_ran_is_told_model_by_model_then_the_whole() -> None:
    runs = (
        ModelRun(name="int_a__b", kind="model", status="success", rows=3, seconds=0.5),
        ModelRun(name="unique_id", kind="test", status="warn", rows=0, seconds=0.1),
    )
    built = BuildResult(models=("int_a__b",), rows_affected=3, seconds=0.6, runs=runs)
    pending = PendingTransform(stream=StreamName("a", "b"), from_snapshot=4, to_snapshot=6)
    assert list(events.transformed(pending, built)) == [
        ModelRan(stream="a/b", model="int_a__b", kind="model", status="success", rows=3, seconds=0.5),
        ModelRan(stream="a/b", model="unique_id", kind="test", status="warn", rows=0, seconds=0.1),
        BatchTransformed(stream="a/b", from_snapshot=4, to_snapshot=6, models=1, seconds=0.6, peak_bytes=0),
    ]
    (last,) = list(events.transformed(pending, replace(built, runs=(), peak_bytes=9)))
    assert last.as_fields()["peak_bytes"] == 9


def test_what_a_merge_found_of_rows_is_told_and_nothing_of_nothing() -> None:
    pending = PendingTransform(stream=StreamName("a", "b"), from_snapshot=4, to_snapshot=6)
    told = RowsFound(
        model="int_a__b", without_key=2, cursor="c", cursor_breaks=3, cursor_type="BIGINT", is_new_type=True
    )
    built = BuildResult(models=(), rows_affected=0, seconds=0.0, found=(told, RowsFound(model="quiet")))
    assert list(events.transformed(pending, built))[1:] == [
        CursorTypeKept(stream="a/b", cursor="c", cursor_type="BIGINT"),
        CursorBroken(stream="a/b", cursor="c", cursor_type="BIGINT", rows=3),
        RowsLeftOut(stream="a/b", rows=2),
    ]


def test_a_committers_work_is_an_event_with_every_number_of_it() -> None:
    work = CommitterWork(commits=5, snapshots=2, transforms=4, dbt_runs=3, busy_s=1.5, seconds=2.5)
    assert events.worked(work).as_fields() == dataclasses.asdict(work)


@pytest.mark.parametrize("cls", ALL)
def test_an_event_is_a_flat_value(cls: type[Event]) -> None:
    event = sample(cls)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event.name)
    assert set(event.as_fields()) == {item.name for item in dataclasses.fields(cls)}
    assert json.loads(json.dumps(event.as_fields())) == event.as_fields()
    assert hash(event) == hash(sample(cls))
