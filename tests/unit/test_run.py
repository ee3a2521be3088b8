"""A run over all streams, on the in-memory lake."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from unittest.mock import patch

import pytest

from lakeray.feed import StreamFeed
from lakeray.planning import Days, plan_stream
from lakeray.run import choose_executor, feed_all, refusal_of, replay_all
from lakeray.settings.values import ExecutorChoice, RefusedStream
from lakeray.steps import discover
from lakeray.steps.ownership import Owner, claim_of
from lakeray.values.errors import UsageError
from lakeray.values.keys import CLAIM
from lakeray.values.model import ObjectPolicy, RawPolicy, StreamName, StreamStatus
from tests.support.fakes.application import ORDERS, MemoryApplication
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM, row
from tests.support.fakes.settings import settings
from tests.support.fakes.store import MemoryStore

DAY = date(2026, 3, 30)
KEY = key_for(DAY)


@pytest.fixture
def lake() -> MemoryApplication:
    return MemoryApplication()


def never() -> bool:
    return False


def always() -> bool:
    return True


def fed(lake: MemoryApplication) -> MemoryApplication:
    report = feed_all(lake.open(), stop=never)
    assert not report.failed, report
    return lake


def test_a_run_without_work_takes_no_lease_and_says_nothing_new_or_what_it_waits_for(lake: MemoryApplication) -> None:
    (report,) = feed_all(lake.open(), stop=never).streams
    assert (report.status, lake.opened_committers, lake.chosen) == (StreamStatus.WAITING, 0, [])
    assert lake.world.sink.events == []
    lake.world.put(KEY, row(1))
    opened = fed(lake).opened_committers
    (report,) = feed_all(lake.open(), stop=never).streams
    assert (report.status, lake.opened_committers) == (StreamStatus.NOTHING_NEW, opened)


def test_a_stream_without_a_model_is_not_fed_and_nothing_is_registered(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    app = replace(lake.open(), has_model=lambda _: False)
    (report,) = feed_all(app, stop=never).streams
    assert report.error is not None and report.error["kind"] == "data"
    assert f"a model int_{STREAM.slug}" in report.error["expected"]
    assert (lake.opened_committers, app.reader.totals(STREAM)) == (0, (0, None))
    rules = app.rules(app.streams()[0])
    refused = refusal_of(app, rules, plan_stream(rules, app.planning_ports()))
    assert refused is not None and refused.as_dict() == report.error
    # By whatever way the feed came: a replay, a feeder that watches.
    ports = replace(lake.world.ports(), has_model=lambda _: False)
    told = StreamFeed(lake.world.rules, ports).report()
    assert told.error == report.error and lake.world.lake.landing_columns(STREAM) is None


def refusal(lake: MemoryApplication) -> str | None:
    """Why a feed would not begin, as plan and status say it."""
    app = lake.open()
    (stream,) = app.streams()
    rules = app.rules(stream)
    error = refusal_of(app, rules, plan_stream(rules, app.planning_ports()))
    return None if error is None else error.kind


def test_a_feed_that_would_not_begin_is_foretold(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    assert refusal(lake) is None
    fed(lake).world.store.put(f"{STREAM}/{CLAIM}", claim_of(Owner(lake="another", catalog="elsewhere")))
    assert refusal(lake) == "prefix_owned"
    lake.configure(retention=replace(lake.settings.retention, raw=RawPolicy.KEEP))
    assert refusal(lake) is None
    assert not feed_all(lake.open(), stop=never).failed  # it reads beside the other
    lake.world.store.delete(KEY)
    assert refusal(lake) == "not_there"
    lake.configure(feed=replace(lake.settings.feed, accept_empty=True))
    assert refusal(lake) is None


def refused(lake: MemoryApplication) -> dict[str, str]:
    """A run must fail without taking the lease or writing anything; the stream's error."""
    before, opened = lake.world.catalog.head, lake.opened_committers
    report = feed_all(lake.open(), stop=never)
    assert report.failed and report.streams[0].status is StreamStatus.FAILED
    assert (lake.world.catalog.head, lake.opened_committers) == (before, opened)
    error = dict(report.streams[0].error or {})
    assert error["kind"] == "not_there" and "storage.url" in error["todo"]
    told = lake.world.sink.events[-1].as_fields()
    assert (told["status"], told["error_kind"]) == ("failed", "not_there")
    return error


@pytest.mark.parametrize("policy", list(ObjectPolicy))
def test_a_typo_in_the_prefix_fails_the_run_and_empties_no_table(lake: MemoryApplication, policy: ObjectPolicy) -> None:
    for part in range(3):
        lake.world.put(key_for(DAY, f"part_{part}.parquet"), row(part))
    fed(lake).configure(feed=replace(lake.settings.feed, on_vanished=policy))
    lake.world.store = MemoryStore()
    assert "memory://raw/shop/orders/" in refused(lake)["about"]


def test_once_the_operator_says_that_it_is_gone_for_good_the_run_goes_on(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    fed(lake).world.store.delete(KEY)
    refused(lake)
    lake.configure(feed=replace(lake.settings.feed, accept_empty=True))
    (report,) = feed_all(lake.open(), stop=never).streams
    assert (report.status, report.vanished) == (StreamStatus.OK, 1)
    lake.configure(feed=replace(lake.settings.feed, accept_empty=False))
    assert [stream.status for stream in feed_all(lake.open(), stop=never).streams] == [StreamStatus.WAITING]


def test_a_bucket_that_is_not_there_fails_the_run_that_never_had_anything_too(lake: MemoryApplication) -> None:
    lake.world.store.is_there = False
    refused(lake)


@pytest.mark.parametrize("replayed", [False, True])
def test_a_stream_whose_config_is_refused_fails_and_the_others_are_fed(lake: MemoryApplication, replayed: bool) -> None:
    name, error = StreamName("shop", "bad"), UsageError("streams.shop__bad.x", found="nothing")
    lake.configure(refused=(RefusedStream(name=name, error=error),))
    lake.world.put(KEY, row(1))
    days = Days(first=DAY, last=DAY)
    report = replay_all(lake.open(), days=days, stop=never) if replayed else feed_all(lake.open(), stop=never)
    told = {item.stream: (item.status, item.error) for item in report.streams}
    assert told == {STREAM: (StreamStatus.OK, None), name: (StreamStatus.FAILED, error.as_dict())}
    assert report.failed and lake.world.catalog.merges
    events = [event.as_fields() for event in lake.world.sink.events]
    assert {"stream": "shop/bad", "error_kind": "usage"}.items() <= next(
        fields for fields in events if fields.get("stream") == "shop/bad"
    ).items()


def test_files_that_are_too_late_are_told_by_a_run_without_work_in_its_report_and_its_log(
    lake: MemoryApplication,
) -> None:
    lake.world.put(KEY, row(1))
    fed(lake).world.put(key_for(DAY - timedelta(days=300)), row(2))
    (report,) = feed_all(lake.open(), stop=never).streams
    assert (report.status, report.too_late) == (StreamStatus.NOTHING_NEW, 1)
    assert lake.world.sink.events[-1].as_fields().items() >= {"status": "nothing_new", "too_late": 1}.items()


def test_of_a_clock_that_was_ten_days_ahead_the_files_of_today_are_told(lake: MemoryApplication) -> None:
    lake.world.clock.move(days=10)
    lake.world.put(key_for(lake.world.clock.now().date()), row(1))
    fed(lake).world.clock.move(days=-10)
    with patch.object(discover, "OLDER", 0):  # whatever is kept of older days
        for part in range(3):
            lake.world.put(key_for(lake.world.clock.now().date(), f"part_{part}.parquet"), row(part))
        (report,) = feed_all(lake.open(), stop=never).streams
    assert (report.status, report.too_late) == (StreamStatus.NOTHING_NEW, 3)


def test_an_object_that_changed_is_work_and_then_waits(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    fed(lake).world.put(KEY, row(1, "again"))
    statuses = [feed_all(lake.open(), stop=never).streams[0] for _ in range(2)]
    assert [(item.status, item.changed) for item in statuses] == [(StreamStatus.OK, 1), (StreamStatus.NOTHING_NEW, 1)]


def test_a_run_feeds_builds_the_enriched_models_and_then_rests(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1, "first"))
    report = feed_all(lake.open(), stop=never)
    assert (report.streams[0].status, report.streams[0].files, report.enriched) == (StreamStatus.OK, 1, ("fct_sales",))
    assert lake.world.sink.names()[-1] == "models_enriched"
    opened = lake.opened_committers
    again = feed_all(lake.open(), stop=never)
    assert (again.streams[0].status, again.enriched, lake.opened_committers) == (StreamStatus.NOTHING_NEW, (), opened)


def test_a_stream_may_have_a_retention_of_its_own(lake: MemoryApplication) -> None:
    old, new = key_for(date(2026, 3, 20)), key_for(DAY)
    lake.configure(streams=settings(streams={STREAM.slug: {**ORDERS, "retention": {"days": 20}}}).streams)
    for key in (old, new):
        lake.world.put(key, row(1))
    assert fed(lake).open().reader.history(old)[0].removed_at is None
    lake.configure(streams=settings(streams={STREAM.slug: {**ORDERS, "retention": {"days": None}}}).streams)
    assert fed(lake).open().reader.history(old)[0].removed_because == "retention"
    lake.configure(streams=settings(streams={STREAM.slug: {**ORDERS, "retention": {"days": 0}}}).streams)
    lake.world.put(key_for(date(2026, 3, 29)), row(2))
    assert fed(lake).open().reader.history(key_for(date(2026, 3, 29)))[0].removed_at is not None  # within the lookback
    assert lake.open().reader.history(new)[0].removed_at is None


def test_a_retention_below_zero_is_refused_with_its_key() -> None:
    with pytest.raises(UsageError, match=f"streams.{STREAM.slug}.retention.days"):
        settings(streams={STREAM.slug: {**ORDERS, "retention": {"days": -1}}})


def test_a_stream_that_cannot_be_listed_fails_and_the_report_says_why(lake: MemoryApplication) -> None:
    lake.world.store.fail_after = 0
    report = feed_all(lake.open(), stop=never)
    assert report.failed
    assert (report.streams[0].status, (report.streams[0].error or {})["kind"]) == (StreamStatus.FAILED, "storage")


def test_snapshots_whose_grace_is_over_are_released_by_a_run_without_work(lake: MemoryApplication) -> None:
    old = date(2026, 3, 1)
    lake.world.put(key_for(old), row(1))
    fed(lake)
    lake.world.put(KEY, row(2))
    fed(lake)
    assert lake.world.lake.registered(STREAM, first=old, last=old) == []  # it left landing behind the cursor
    assert key_for(old) in lake.world.store.keys()  # noqa: SIM118
    lake.world.clock.move(days=2)
    (report,) = feed_all(lake.open(), stop=never).streams
    assert (report.status, lake.world.store.keys()) == (StreamStatus.NOTHING_NEW, [KEY])
    assert lake.world.sink.names()[-1] == "files_cleaned"


def test_a_run_that_is_asked_to_stop_takes_nothing_in(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    report = feed_all(lake.open(), stop=always)
    assert report.streams[0].status is StreamStatus.INTERRUPTED
    assert lake.world.lake.totals(STREAM) == (0, None)


def test_a_stream_whose_settings_are_wrong_fails_the_run_and_not_the_stream_alone(lake: MemoryApplication) -> None:
    lake.world.store.fail_after = 0
    lake.world.store.failure = UsageError("storage.url", found="no such bucket")
    with pytest.raises(UsageError):
        feed_all(lake.open(), stop=never)
    assert lake.opened_committers == 0


def test_the_work_of_the_committer_is_told_unless_it_died(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    fed(lake)
    (worked,) = lake.world.sink.of("committer_worked")
    numbers = {"commits": 1, "snapshots": 1, "transforms": 1, "dbt_runs": 1, "busy_s": 0.0, "seconds": 0.0}
    assert worked.as_fields() == numbers
    lake.committer_dies = True
    lake.world.put(key_for(date(2026, 3, 31)), row(2))
    fed(lake)
    assert len(lake.world.sink.of("committer_worked")) == 1


def test_every_enriched_model_that_ran_is_told_before_their_sum(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    fed(lake)
    (ran,), (built,) = lake.world.sink.of("model_ran"), lake.world.sink.of("models_enriched")
    assert (ran.as_fields()["stream"], ran.as_fields()["model"]) == ("", "fct_sales")
    assert built.as_fields()["models"] == 1
    assert lake.world.sink.names()[-2:] == ["model_ran", "models_enriched"]


def test_enriched_models_that_fail_are_told_the_streams_work_stands_and_the_next_run_builds_them(
    lake: MemoryApplication,
) -> None:
    lake.world.put(KEY, row(1))
    lake.world.catalog.fail_enrich = True
    report = feed_all(lake.open(), stop=never)
    assert report.failed
    assert (report.streams[0].status, (report.enriched_error or {})["kind"]) == (StreamStatus.OK, "transform")
    assert lake.world.sink.of("models_enriched") == []
    lake.world.catalog.fail_enrich = False
    again = feed_all(lake.open(), stop=never)
    assert (again.failed, again.streams[0].status, again.enriched) == (False, StreamStatus.NOTHING_NEW, ("fct_sales",))


def test_enriched_models_are_left_to_others_when_a_setting_says_so(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    lake.configure(feed=settings(feed__enrich=False).feed)
    assert feed_all(lake.open(), stop=never).enriched == () and lake.world.lake.enriched_is_stale()
    assert feed_all(lake.open(), stop=never).streams[0].status is StreamStatus.NOTHING_NEW
    assert lake.world.sink.of("models_enriched") == []
    lake.configure(feed=settings().feed)
    assert feed_all(lake.open(), stop=never).enriched == ("fct_sales",)


def test_a_dbt_project_that_is_another_one_is_built_by_a_run_with_nothing_new(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    app = replace(lake.open(), project=lambda: "first")
    assert feed_all(app, stop=never).enriched == ("fct_sales",)
    assert feed_all(app, stop=never).enriched == ()
    assert feed_all(replace(app, project=lambda: "second"), stop=never).enriched == ("fct_sales",)


@pytest.mark.parametrize(("enrich_fails", "kind"), [(False, "catalog"), (True, "transform")])
def test_of_two_failures_at_the_end_the_first_is_told(lake: MemoryApplication, enrich_fails: bool, kind: str) -> None:
    lake.world.put(KEY, row(1))
    lake.world.catalog.fail_enrich, lake.world.catalog.fail_expire = enrich_fails, True
    report = feed_all(lake.open(), stop=never)
    assert (report.streams[0].status, (report.enriched_error or {})["kind"]) == (StreamStatus.OK, kind)


def test_a_replay_is_a_run_like_any_other_and_may_go_on_ray(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    fed(lake)
    late = key_for(date(2026, 3, 2))
    lake.world.put(late, row(2))
    days = Days(first=date(2026, 3, 1), last=date(2026, 3, 30))
    lake.configure(ray=settings(ray__auto_files=1).ray)
    report = replay_all(lake.open(), days=days, stop=never)
    assert (report.streams[0].status, report.streams[0].files) == (StreamStatus.OK, 1)
    assert lake.chosen[-1] == (ExecutorChoice.RAY, days)
    assert sorted(lake.world.lake.processed_rows(STREAM)) == [1, 2]


@pytest.mark.parametrize(
    ("asked", "files", "wanted"),
    [
        ("inline", 10**6, ExecutorChoice.INLINE),
        ("ray", 0, ExecutorChoice.RAY),
        ("auto", 19_999, ExecutorChoice.INLINE),
        ("auto", 20_000, ExecutorChoice.RAY),
    ],
)
def test_where_validation_runs_follows_the_setting_or_the_plan(asked: str, files: int, wanted: ExecutorChoice) -> None:
    choice, because = choose_executor(settings(feed__executor=asked), files=files)
    assert choice is wanted and because
