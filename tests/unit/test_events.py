"""Events: stable names and flat fields, for logs that scripts match on."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from lakeray.values import events
from lakeray.values.events import Event

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
        "executor_chosen",
        "file_rejected",
        "files_cleaned",
        "files_reread",
        "landing_changed",
        "model_ran",
        "models_enriched",
        "noted",
        "objects_dropped",
        "sample_file_written",
        "stream_finished",
        "stream_planned",
        "stream_started",
        "transform_split",
    ]


@pytest.mark.parametrize("cls", ALL)
def test_an_event_is_a_flat_value(cls: type[Event]) -> None:
    event = sample(cls)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event.name)
    assert set(event.as_fields()) == {item.name for item in dataclasses.fields(cls)}
    assert json.loads(json.dumps(event.as_fields())) == event.as_fields()
    assert hash(event) == hash(sample(cls))
