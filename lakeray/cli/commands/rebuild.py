"""``rebuild``: a stream's tables become what its config says; the dry run tells what would become of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakeray import wiring
from lakeray.cli.commands.feed import INTERRUPTED, problems
from lakeray.cli.commands.generate import drifted
from lakeray.cli.interrupt import StopFlag
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table, feed_json, feed_table, human_bytes
from lakeray.rebuild import RebuildPlan, plan_rebuild, rebuild_stream
from lakeray.run import Lakeray, finished_by
from lakeray.settings.values import Settings, StreamSettings
from lakeray.values.errors import LakerayError, UsageError
from lakeray.values.model import FeedReport, StreamName, StreamReport, StreamStatus


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Tell what would be done; with ``rebuild.dry_run=false`` do it. Streams that are as configured are left alone."""
    _require_generated(settings)
    with wiring.opened(settings) as app:
        looked: list[tuple[StreamName, RebuildPlan | LakerayError]]
        looked = [(stream.name, _look(app, stream)) for stream in app.streams()]
        looked += [(item.name, item.error) for item in settings.refused]
        if settings.rebuild.dry_run:
            return _told(looked, out)
        return _done(app, looked, out)


def _require_generated(settings: Settings) -> None:
    wrong = [path for path in drifted(settings) if any(slug in path for slug in settings.streams)]
    if wrong:
        raise UsageError(
            wrong[0],
            expected="the file that follows from the stream's config",
            found="another text, or none",
            todo="`lakeray generate` writes it; commit it",
        )


_Looked = Sequence[tuple[StreamName, RebuildPlan | LakerayError]]


def _look(app: Lakeray, stream: StreamSettings) -> RebuildPlan | LakerayError:
    try:
        return plan_rebuild(app.rules(stream), app.reader)
    except LakerayError as error:
        if error.exit_code != 1:
            raise
        return error


def _told(looked: _Looked, out: Output) -> int:
    lines = [line for stream, plan in looked for line in _words(stream, plan)]
    tables = [_table(plan) for _, plan in looked if isinstance(plan, RebuildPlan) and plan.change.is_needed]
    document = {"dry_run": True, "streams": [_json(stream, plan) for stream, plan in looked]}
    out.result(document, tables, text="\n".join(lines))
    return 1 if any(isinstance(plan, LakerayError) for _, plan in looked) else 0


def _done(app: Lakeray, looked: _Looked, out: Output) -> int:
    stop = StopFlag()
    reports = [_failed(stream, plan) for stream, plan in looked if isinstance(plan, LakerayError)]
    needed = [stream for stream, plan in looked if isinstance(plan, RebuildPlan) and plan.change.is_needed]
    failure = None
    if needed:
        with stop.listening(), app.committer() as committer:
            ports = app.ports(committer, app.open_executor(), stop=stop)
            for stream in needed:
                if not stop():
                    allow_loss = app.settings.rebuild.allow_loss
                    rules = app.rules(app.settings.streams[stream.slug])
                    reports.append(rebuild_stream(rules, ports, app.reader, allow_loss=allow_loss))
            built = finished_by(committer, app, stop=stop)
        failure = built.as_dict() if isinstance(built, LakerayError) else None
    report = FeedReport(streams=tuple(reports), enriched_error=failure)
    text = problems(report) if reports else "Every table is as configured."
    out.result({"dry_run": False, **feed_json(report)}, [feed_table(report)] if reports else [], text=text)
    return INTERRUPTED if stop() else 1 if report.failed else 0


def _failed(stream: StreamName, error: LakerayError) -> StreamReport:
    return StreamReport(stream=stream, status=StreamStatus.FAILED, error=error.as_dict())


def _table(plan: RebuildPlan) -> Table:
    change, counts = plan.change, plan.counts
    failing = dict(counts.failing)
    noted, rows = change.noted, []
    if noted is not None:
        rows = [
            ("key", _names(noted.primary_key), _names(change.key)),
            ("cursor", _names(noted.newest_first), _names(change.newest_first)),
        ]
        if noted.cursor_type and change.cursor_type:
            rows.append(("cursor type", noted.cursor_type, change.cursor_type))
    changed = [(what, old, new) for what, old, new in rows if old != new]
    casts = {cast.column: cast for cast in (*change.landing, *change.processed)}
    changed += [(cast.column, str(cast.found), str(cast.wanted)) for cast in casts.values()]
    return Table(
        title=f"Rebuild {change.stream}",
        columns=("what", "is", "becomes", "rows that lose their value"),
        rows=tuple((what, old, new, f"{failing.get(what, 0):,}") for what, old, new in changed),
    )


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "-"


def _words(name: StreamName, plan: RebuildPlan | LakerayError) -> list[str]:
    if isinstance(plan, LakerayError):
        return [f"{name}: {plan}"]
    if not plan.change.is_needed:
        return [f"{name}: as configured."]
    counts = plan.counts
    size = sum(entry.size_bytes for entry in plan.landing)
    lines = [
        f"{name}: {counts.rows:,} rows in {name.processed_table}",
        f"  {counts.merging:,} of them would go, for a newer row has their key",
        f"  {counts.added:,} keys would come from landing",
        f"  {counts.without_key:,} rows are without the new key",
        f"  {sum(lost for _, lost in counts.failing):,} values do not fit their new type",
        f"  {len(plan.landing):,} files ({human_bytes(size)}) of landing would be registered anew",
        f"  {len(plan.rejected):,} rejected files would be looked at again",
    ]
    if counts.lost:
        return [*lines, "  Rows or values would be lost: rebuild.allow_loss=true lets them go."]
    return [*lines, f"  Do it: lakeray rebuild +stream={name} rebuild.dry_run=false"]


def _json(stream: StreamName, plan: RebuildPlan | LakerayError) -> dict[str, Any]:
    named = {"source": stream.source, "stream": stream.stream}
    if isinstance(plan, LakerayError):
        return {**named, "needed": None, "error": plan.as_dict()}
    change, counts, noted = plan.change, plan.counts, plan.change.noted
    failing = dict(counts.failing)
    casts = {cast.column: cast for cast in (*change.landing, *change.processed)}
    return {
        **named,
        "needed": change.is_needed,
        "primary_key": {"from": list(noted.primary_key if noted else change.key), "to": list(change.key)},
        "cursor": {
            "from": list(noted.newest_first if noted else change.newest_first),
            "to": list(change.newest_first),
        },
        "cursor_type": {"from": noted.cursor_type if noted else None, "to": change.cursor_type},
        "columns": [
            {
                "name": cast.column,
                "from": str(cast.found),
                "to": str(cast.wanted),
                "values_lost": failing.get(cast.column, 0),
            }
            for cast in casts.values()
        ],
        "rows": counts.rows,
        "rows_merging": counts.merging,
        "keys_added": counts.added,
        "rows_without_key": counts.without_key,
        "landing_files": [entry.key for entry in plan.landing],
        "rejected_files": list(plan.rejected),
        "error": None,
    }
