"""``feed``: take the streams in, once, to the end; or keep polling."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from lakeray import wiring
from lakeray.adapters import feeder_threads
from lakeray.adapters.ducklake.books import Books
from lakeray.adapters.shared_committer import shared
from lakeray.adapters.system import StopFlag
from lakeray.adapters.terminal import Output
from lakeray.clean import clean_before
from lakeray.config import ExecutorChoice, Settings, StreamSettings
from lakeray.errors import LakerayError
from lakeray.events import ExecutorChosen, FilesCleaned, ModelsEnriched, model_runs, worked
from lakeray.explain import feed_json, feed_table
from lakeray.feed import Looks, feed_stream, look
from lakeray.model import BuildResult, FeedReport, ObjectPolicy, Plan, StreamReport, StreamStatus
from lakeray.ports import Committer

INTERRUPTED = 130
NOTHING_BUILT = BuildResult(models=(), rows_affected=0, seconds=0.0)


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Feed, print the report, and say by the exit code how it went."""
    stop = StopFlag()
    with stop.listening():
        while True:
            with wiring.opened(settings) as app:
                report = feed_all(app, stop=stop)
            out.result(feed_json(report), [feed_table(report)], text=problems(report))
            if stop():
                return INTERRUPTED
            if not settings.feed.watch or stop.wait(settings.feed.poll_s):
                return 1 if report.failed else 0


def feed_all(app: wiring.Lakeray, *, stop: StopFlag) -> FeedReport:
    """Look first; only streams with work are fed, and only a plan that is worth it starts Ray.

    Raises:
        LeaseHeldError: another committer works on the lake.
        LakerayError: the catalog cannot be opened.
    """
    books = app.books()
    looked = [(stream, *_look(app, stream, books)) for stream in app.streams()]
    busy = [stream for stream, planned, _ in looked if planned is not None and _has_work(app, stream, planned, books)]
    reports = {
        stream.name: _idle(stream, error) for stream, _, error in looked if error is not None or stream not in busy
    }
    built: BuildResult | LakerayError = NOTHING_BUILT
    failed = any(error is not None for _, _, error in looked)
    if not busy and not failed and not stop() and _is_releasable(app, books):
        with app.committer() as committer:
            _release(app, committer)
    if busy or (app.reader.enriched_is_stale() and not stop()):
        files = sum(planned.files for stream, planned, _ in looked if planned is not None and stream in busy)
        fed, built = _feed(app, busy, files=files, stop=stop)
        reports.update({report.stream: report for report in fed})
    streams = tuple(reports[name] for name in sorted(reports))
    if isinstance(built, LakerayError):
        return FeedReport(streams=streams, enriched_error=built.as_dict())
    if built.models:
        for ran in model_runs(built):
            app.events.emit(ran)
        app.events.emit(ModelsEnriched(models=len(built.models), seconds=built.seconds))
    return FeedReport(streams=streams, enriched=built.models)


def _is_releasable(app: wiring.Lakeray, books: Books) -> bool:
    return app.reader.releasable(older_than=_grace_until(app), keep_from=books.oldest_waiting())


def _release(app: wiring.Lakeray, committer: Committer) -> None:
    """Let DuckLake snapshots go whose grace period is over, and the objects that none of them shows any more (P13)."""
    deleted = committer.expire(older_than=_grace_until(app))
    if deleted:
        app.events.emit(FilesCleaned(stream="*", files=0, rows=0, objects_deleted=len(deleted)))


def _grace_until(app: wiring.Lakeray) -> datetime:
    return app.clock.now() - timedelta(days=app.settings.retention.snapshot_days)


def problems(report: FeedReport) -> str:
    """What failed, a line each."""
    lines = [f"{item.stream} failed: {_line(item.error)}" for item in report.streams if item.error]
    if report.enriched_error is not None:
        lines.append(f"enriched models failed: {_line(report.enriched_error)}")
    return "\n".join(lines)


def _line(error: Mapping[str, str]) -> str:
    return "; ".join(error[part] for part in ("about", "found", "todo") if error[part])


def finished_by(committer: Committer, app: wiring.Lakeray, *, stop: Callable[[], bool]) -> BuildResult | LakerayError:
    """What comes once, after all streams: the enriched models, then the snapshots that nobody reads any more.

    In this order: what the enriched models have not seen yet is in those snapshots. A failure is a value: the streams'
    report must still be told.
    """
    if stop():
        return NOTHING_BUILT
    built: BuildResult | LakerayError
    try:
        built = committer.enrich()
    except LakerayError as error:
        built = error
    try:
        _release(app, committer)
    except LakerayError as error:
        return built if isinstance(built, LakerayError) else error
    return built


def _look(app: wiring.Lakeray, stream: StreamSettings, books: Books) -> tuple[Plan | None, LakerayError | None]:
    try:
        return look(app.rules(stream), Looks(store=app.store, books=books)), None
    except LakerayError as error:
        if error.exit_code != 1:
            raise
        return None, error


def _has_work(app: wiring.Lakeray, stream: StreamSettings, planned: Plan, books: Books) -> bool:
    rules = app.rules(stream)
    if (planned.changed and rules.on_changed is not ObjectPolicy.REPORT) or (
        planned.vanished and rules.on_vanished is not ObjectPolicy.REPORT
    ):
        return True
    if planned.batches or planned.oversize or books.pending_transform(stream.name) is not None:
        return True
    names = books.landing_names(stream.name)
    if names is not None and {name.lower() for name in stream.fields} - {name.lower() for name in names}:
        return True
    oldest = books.oldest_merged_day(stream.name)
    before = clean_before(books.cursor(stream.name), retention_days=app.settings.retention.days)
    return oldest is not None and before is not None and oldest < before


def _idle(stream: StreamSettings, error: LakerayError | None) -> StreamReport:
    status = StreamStatus.NOTHING_NEW if error is None else StreamStatus.FAILED
    return StreamReport(stream=stream.name, status=status, error=None if error is None else error.as_dict())


def _feed(
    app: wiring.Lakeray, streams: Sequence[StreamSettings], *, files: int, stop: StopFlag
) -> tuple[list[StreamReport], BuildResult | LakerayError]:
    choice, because = choose_executor(app.settings, files=files)
    app.events.emit(ExecutorChosen(executor=choice, because=because))
    if choice is ExecutorChoice.RAY:
        return _feed_on_ray(app, streams, stop=stop)
    executor = wiring.inline_executor(app.settings)
    with app.committer() as committer:
        with shared(committer) as served:
            ports = app.ports(served, executor, stop=stop)
            rules = {stream.name: app.rules(stream) for stream in streams}
            reports = feeder_threads.run_feeds(
                list(rules), feed_one=lambda name: feed_stream(rules[name], ports), stop=stop
            )
            app.events.emit(worked(served.work))
        built = finished_by(committer, app, stop=stop)
    return reports, built


def _feed_on_ray(
    app: wiring.Lakeray, streams: Sequence[StreamSettings], *, stop: StopFlag
) -> tuple[list[StreamReport], BuildResult | LakerayError]:
    from lakeray.adapters import ray_executor  # Ray takes 2 s to import: only plans that are worth it pay

    settings = app.settings
    with ray_executor.cluster(address=settings.ray.address, num_cpus=settings.ray.num_cpus):
        reports, built, work = ray_executor.run_feeds(
            [stream.name for stream in streams],
            open_committer=functools.partial(wiring.open_committer, settings),
            feed_one=wiring.feed_one_with(settings),
            validator=wiring.batch_validator(settings),
            finish=functools.partial(finished_by, app=app, stop=stop),
            stop=stop,
        )
    if work is not None:
        app.events.emit(worked(work))
    return reports, built


def choose_executor(settings: Settings, *, files: int) -> tuple[ExecutorChoice, str]:
    """Where to validate, and why: starting Ray costs 4–12 s, which footers of a few thousand files do not."""
    if settings.feed.executor is not ExecutorChoice.AUTO:
        return settings.feed.executor, "feed.executor says so"
    if files >= settings.ray.auto_files and files > 0:
        return ExecutorChoice.RAY, f"{files} files are at least ray.auto_files ({settings.ray.auto_files})"
    return ExecutorChoice.INLINE, f"{files} files are fewer than ray.auto_files ({settings.ray.auto_files})"
